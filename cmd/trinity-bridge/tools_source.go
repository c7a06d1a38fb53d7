package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/abilityai/trinity-bridge/bridge/jsonrpc"
	"github.com/abilityai/trinity-bridge/bridge/secret"
	"github.com/abilityai/trinity-bridge/bridge/tools"
)

// maxSavedList is the most that is read of a saved list.
const maxSavedList = 16 << 20

// listSource is where a server's list of tools comes from.
type listSource struct {
	File    string `arg:"" optional:"" placeholder:"FILE" help:"A saved answer to tools/list; - is standard input."`
	URL     string `name:"url" placeholder:"URL" help:"An MCP endpoint to ask, in the place of a file."`
	KeyFile string `name:"key-file" placeholder:"FILE" help:"File with the Trinity key or access token to ask with; - is standard input."`
}

func (s listSource) given() bool { return s.File != "" || s.URL != "" }

func (s listSource) read(c *console) ([]jsonrpc.ListedTool, error) {
	switch {
	case s.File != "" && s.URL != "", s.File == "" && s.URL == "":
		return nil, usageError("give a file with a list of tools, or --url to ask a server")
	case s.KeyFile != "" && s.URL == "":
		return nil, usageError("--key-file is for --url")
	case s.File != "":
		text, err := readFile(s.File)
		if err != nil {
			return nil, fmt.Errorf("reading the list: %w", err)
		}
		listed, err := tools.ReadList(text)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", s.File, err)
		}
		return listed, nil
	}
	endpoint, err := url.Parse(s.URL)
	if err != nil || endpoint.Host == "" || endpoint.Scheme != "http" && endpoint.Scheme != "https" || endpoint.User != nil {
		return nil, usageError(fmt.Sprintf("--url: %q is not an http or https URL", s.URL))
	}
	var key secret.Token
	if s.KeyFile != "" {
		text, err := readFile(s.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the key: %w", err)
		}
		key = secret.New(strings.TrimSpace(string(text)))
	}
	return tools.AskList(c.ctx, endpoint, key)
}

func readFile(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(os.Stdin, maxSavedList))
	}
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, maxSavedList))
}
