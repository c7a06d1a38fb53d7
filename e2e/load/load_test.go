//go:build load

package load_test

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/abilityai/trinity-bridge/bridge/config"
	"github.com/abilityai/trinity-bridge/bridge/store/storetest"
	"github.com/abilityai/trinity-bridge/e2e/bridgetest"
)

const (
	families      = 20
	refreshRate   = 100 // per second
	registerRate  = 1000
	documentsOpen = 16
	betweenSyncs  = 200 * time.Microsecond // what a refresh takes besides
)

func quiet() time.Duration { return setting("QUIET", 15*time.Second) }
func flood() time.Duration { return setting("FLOOD", time.Minute) }

func setting(name string, fallback time.Duration) time.Duration {
	if d, err := time.ParseDuration(os.Getenv(name)); err == nil {
		return d
	}
	return fallback
}

func TestLoad(t *testing.T) {
	b := bridgetest.Start(t, bridgetest.With(func(f *config.Flags) { f.LogLevel = "error" }))
	connections := connectAll(t, b)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "\nwhat\trequests\tper second\tp50 ms\tp99 ms\tmax ms\tother answers\tRSS MB after\theap MB after\t")
	row := func(what string, m *measure) {
		m = sorted(m)
		m.resident, m.heap = residentMB(t), heapMB()
		_, _ = fmt.Fprintf(table, "%s\t%d\t%.0f\t%.2f\t%.2f\t%.2f\t%v\t%.0f\t%.1f\t\n", what, len(m.took), float64(len(m.took))/m.lasted.Seconds(),
			m.at(0.5), m.at(0.99), m.at(1), m.others, m.resident, m.heap)
	}
	disk, err := storetest.Syncs(t.TempDir(), 3000, betweenSyncs)
	if err != nil {
		t.Fatal(err)
	}
	for _, families := range []int{1, 16} {
		row(fmt.Sprintf("refresh, %d at once", families), refreshOnEnd(t, b, connections[:families], quiet()))
	}
	calm := refreshFor(t, b, connections, quiet())
	row("refresh at 100/s, quiet", calm)

	registrations := &measure{}
	var done sync.WaitGroup
	done.Go(func() { registrations = registerFor(t, b, flood()) })
	flooded := refreshFor(t, b, connections, flood())
	done.Wait()
	row("refresh at 100/s, registrations flooding", flooded)
	row("registrations at 1,000/s", registrations)
	after := refreshFor(t, b, connections, quiet())
	row("refresh at 100/s, afterwards", after)
	documents := after
	for _, path := range []string{"/.well-known/oauth-protected-resource/mcp", "/.well-known/oauth-authorization-server", "/oauth/jwks"} {
		documents = documentFor(t, b, path, 5*time.Second)
		row(path+", as fast as it goes", documents)
	}
	_, _ = fmt.Fprintln(table, "\nfigure\twanted\tmeasured\tmet\t")
	bound := func(figure, unit string, most, measured float64) {
		met := "yes"
		if measured > most {
			met = "NO"
		}
		_, _ = fmt.Fprintf(table, "%s\t≤ %g %s\t%.1f\t%s\t\n", figure, most, unit, measured, met)
	}
	_, _ = fmt.Fprintf(table, "one sync of the disk, %v after the one before\t\t%.2f ms\t\t\n", betweenSyncs, float64(disk.At(0.5).Microseconds())/1000)
	bound("p99 of a refresh at 100/s, synced", "ms", 50, calm.at(0.99))
	bound("the same under 1,000 registrations/s", "ms", 50, flooded.at(0.99))
	bound("refreshes refused meanwhile", "", 0, float64(len(flooded.others)))
	bound("resident after the flood", "MB", 256, registrations.resident)
	bound("heap that three floods of documents left", "MB", 8, documents.heap-after.heap)
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
}

// measure is the latencies of good answers and the number of other ones by status.
type measure struct {
	mu     sync.Mutex
	took   []time.Duration
	others map[int]int

	lasted         time.Duration
	resident, heap float64 // MB when it was over
}

func (m *measure) add(took time.Duration, status, good int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if status == good {
		m.took = append(m.took, took)
		return
	}
	if m.others == nil {
		m.others = map[int]int{}
	}
	m.others[status]++
}

// sorted sorts what was measured, for at.
func sorted(m *measure) *measure {
	slices.Sort(m.took)
	return m
}

func (m *measure) at(quantile float64) float64 {
	if len(m.took) == 0 {
		return 0
	}
	i := min(int(quantile*float64(len(m.took))), len(m.took)-1)
	return float64(m.took[i].Microseconds()) / 1000
}

// connection is one grant whose refresh token is renewed over and over.
type connection struct {
	mu      sync.Mutex
	client  bridgetest.Client
	refresh string
}

func connectAll(t *testing.T, b *bridgetest.Bridge) []*connection {
	t.Helper()
	var all []*connection
	for range families {
		client := b.Register(t)
		tokens := b.Connect(t, client, b.Someone())
		all = append(all, &connection{client: client, refresh: tokens.Refresh})
	}
	return all
}

func refreshFor(t *testing.T, b *bridgetest.Bridge, connections []*connection, d time.Duration) *measure {
	t.Helper()
	m := &measure{lasted: d}
	pace(d, refreshRate, func(i int) { connections[i%len(connections)].renew(t, b, m) })
	return m
}

// refreshOnEnd refreshes each connection as soon as it was refreshed.
func refreshOnEnd(t *testing.T, b *bridgetest.Bridge, connections []*connection, d time.Duration) *measure {
	t.Helper()
	m := &measure{lasted: d}
	var all sync.WaitGroup
	end := time.Now().Add(d)
	for _, c := range connections {
		w := dial(t, b)
		all.Go(func() {
			for time.Now().Before(end) && c.renewOn(t, w, m) {
			}
		})
	}
	all.Wait()
	return m
}

// renew refreshes the connection and notes how long that took.
func (c *connection) renew(t *testing.T, b *bridgetest.Bridge, m *measure) bool {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	began := time.Now()
	answer := b.PostForm(t, "/oauth/token", b.RefreshForm(c.client, c.refresh))
	m.add(time.Since(began), answer.Status, http.StatusOK)
	if answer.Status != http.StatusOK {
		t.Errorf("refresh: %d %s", answer.Status, answer.Body)
		return false
	}
	var tokens bridgetest.Tokens
	answer.JSON(t, &tokens)
	c.refresh = tokens.Refresh
	return true
}

// renewOn is renew for a connection of its own.
func (c *connection) renewOn(t *testing.T, w *wire, m *measure) bool {
	t.Helper()
	began := time.Now()
	status, successor := w.refresh(t, c.client.ID, c.refresh)
	m.add(time.Since(began), status, http.StatusOK)
	c.refresh = successor
	if status != http.StatusOK {
		t.Errorf("refresh: %d", status)
	}
	return status == http.StatusOK
}

func registerFor(t *testing.T, b *bridgetest.Bridge, d time.Duration) *measure {
	t.Helper()
	m := &measure{lasted: d}
	pace(d, registerRate, func(i int) {
		body := `{"client_name":"flood ` + strconv.Itoa(i) + `","redirect_uris":["https://app.example.com/cb"],"token_endpoint_auth_method":"none"}`
		began := time.Now()
		status := b.PostJSON(t, "/oauth/register", body).Status
		m.add(time.Since(began), status, http.StatusCreated)
	})
	return m
}

func documentFor(t *testing.T, b *bridgetest.Bridge, path string, d time.Duration) *measure {
	t.Helper()
	m := &measure{lasted: d}
	var all sync.WaitGroup
	end := time.Now().Add(d)
	for range documentsOpen {
		all.Go(func() {
			for time.Now().Before(end) {
				began := time.Now()
				status := b.Get(t, path).Status
				m.add(time.Since(began), status, http.StatusOK)
			}
		})
	}
	all.Wait()
	return m
}

// pace calls do rate times a second, whether or not earlier calls have ended, as strangers do; at
// most a second's worth is under way.
func pace(d time.Duration, rate int, do func(i int)) {
	var all sync.WaitGroup
	var under atomic.Int64
	ticker := time.NewTicker(time.Second / time.Duration(rate))
	defer ticker.Stop()
	for i, end := 0, time.Now().Add(d); time.Now().Before(end); i++ {
		<-ticker.C
		if under.Load() >= int64(rate) {
			continue
		}
		under.Add(1)
		all.Go(func() {
			defer under.Add(-1)
			do(i)
		})
	}
	all.Wait()
}

func residentMB(t *testing.T) float64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	return resident(string(status))
}

// resident is the memory of a process in MB, from what /proc says of it.
func resident(status string) float64 {
	for line := range strings.Lines(status) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			kb, err := strconv.Atoi(fields[1])
			if err != nil {
				return 0
			}
			return float64(kb) / 1024
		}
	}
	return 0
}

// heapMB is what is in use after a collection.
func heapMB() float64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc) / (1 << 20)
}
