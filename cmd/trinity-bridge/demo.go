package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/abilityai/trinity-bridge/bridge/app"
	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/federation/trinity/trinitytest"
)

type demoCommand struct {
	Listen         string `placeholder:"ADDRESS" default:"127.0.0.1:8420" env:"TRINITY_BRIDGE_LISTEN" help:"Loopback address to listen on."`
	OperatorListen string `placeholder:"ADDRESS" default:"127.0.0.1:8421" env:"TRINITY_BRIDGE_OPERATOR_LISTEN" help:"Address for health and the operator's commands."`
	Data           string `placeholder:"FOLDER" help:"Where state is kept (default $$TRINITY_BRIDGE_DATA or ./data)."`
	AccessLifetime string `name:"access-token-lifetime" placeholder:"DURATION" env:"TRINITY_BRIDGE_ACCESS_TOKEN_LIFETIME" help:"Life of an access token (default 1h)."`
}

// Run starts a simulated Trinity and the bridge in front of it, in this process.
func (d *demoCommand) Run(c *console) (err error) {
	if d.Data == "" {
		d.Data = os.Getenv("TRINITY_BRIDGE_DATA")
	}
	if d.Data == "" {
		d.Data = "data"
	}
	host, port, err := net.SplitHostPort(d.Listen)
	if err != nil || !net.ParseIP(host).IsLoopback() || port == "0" {
		return config.Mistakes{"--listen: the demo listens on a loopback address with a port, such as 127.0.0.1:8420"}
	}
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	simulated, err := trinitytest.Start(trinitytest.Options{
		StateFile: filepath.Join(d.Data, "simulated-trinity.json"),
		Codes: func(email, code string) {
			_, _ = fmt.Fprintf(c.out, "sign-in code for %s: %s\n", email, code)
		},
	})
	if err != nil {
		return fmt.Errorf("starting the simulated Trinity: %w", err)
	}
	defer func() { err = errors.Join(err, simulated.Close()) }()
	cfg, err := config.Load(config.Flags{
		PublicURL: "http://" + d.Listen, Listen: d.Listen, OperatorListen: d.OperatorListen, Data: d.Data,
		TrinityURL: simulated.BackendURL(), MCPURL: simulated.MCPURL(), AccessLifetime: d.AccessLifetime,
		DocumentPolicy: "off", // documents would have to be fetched
		OperatorName:   "whoever started this demo", AllowedOrigins: "http://localhost:6274,http://127.0.0.1:6274",
	}, func(string) (string, bool) { return "", false })
	if err != nil {
		return err
	}
	bridge, err := app.New(c.ctx, cfg, app.Options{Log: newLogger(c.err, slog.LevelWarn)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bridge.Close()) }()
	if err := bridge.RefuseOpenUpstream(c.ctx); err != nil {
		return err
	}
	d.welcome(c, bridge.Connector())
	return bridge.Run(c.ctx)
}

func (d *demoCommand) welcome(c *console, connector string) {
	_, _ = fmt.Fprintf(c.out, `Trinity Bridge demo: a simulated Trinity runs inside this program, and nothing leaves this machine.

Add the connector to a client:

  Claude Code   claude mcp add --transport http trinity %[1]s
  Codex         codex mcp add trinity --url %[1]s
  VS Code       code --add-mcp '{"name":"trinity","type":"http","url":"%[1]s"}'
  mcp-remote    npx mcp-remote %[1]s

Sign in as alice@example.com or bob@example.com (role user) or admin@example.com (role admin).
Their sign-in codes appear here. State is kept in %[2]s; stop with Ctrl-C and start again to see that nothing is lost.

ready: %[1]s
`, connector, d.Data)
}
