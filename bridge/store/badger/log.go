package badger

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// engineLog hands the engine's lines to slog. Its errors are warnings here: whether one matters is
// decided by the call that failed, which returns it.
type engineLog struct {
	to          *slog.Logger
	mergeFailed chan<- struct{} // is sent to, if it takes it, for each merge that was not finished
}

func (l engineLog) Errorf(format string, args ...any) { l.log(slog.LevelWarn, format, args) }
func (l engineLog) Infof(format string, args ...any)  { l.log(slog.LevelDebug, format, args) }

func (l engineLog) Warningf(format string, args ...any) {
	l.log(slog.LevelWarn, format, args)
	if strings.Contains(format, "Compact FAILED") { // nothing else tells of it
		select {
		case l.mergeFailed <- struct{}{}:
		default:
		}
	}
}

// Debugf drops the engine's debug lines: one of them prints keys as it replays its log.
func (l engineLog) Debugf(string, ...any) {}

func (l engineLog) log(level slog.Level, format string, args []any) {
	if !l.to.Enabled(context.Background(), level) {
		return
	}
	line := strings.TrimSpace(fmt.Sprintf(format, args...))
	l.to.Log(context.Background(), level, "storage engine", "line", line)
}
