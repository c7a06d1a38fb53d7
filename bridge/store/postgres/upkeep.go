package postgres

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/abilityai/trinity-bridge/bridge"
	"github.com/abilityai/trinity-bridge/bridge/store/rows"
)

// betweenReads is how long a snapshot may wait for whoever takes what it read, in milliseconds.
const betweenReads = "300000"

// Snapshot runs on a connection beside the pool, so that it may take long.
func (e transactions) Snapshot(ctx context.Context, run func(rows.Tx) error) error {
	conn, err := pgx.ConnectConfig(ctx, e.s.config)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoConnection, err)
	}
	defer closeConn(ctx, conn)
	if _, err := conn.Exec(ctx, "set idle_in_transaction_session_timeout = "+betweenReads); err != nil {
		return explain(err)
	}
	t := e.s.newTx(ctx, conn, beginRead)
	defer t.end()
	return explain(run(t))
}

// Disk is what the tables and their indexes take.
func (e transactions) Disk(ctx context.Context) (disk bridge.StoreDisk, err error) {
	disk.Engine = "postgresql"
	err = e.s.retry(ctx, func(ctx context.Context, conn *pgxpool.Conn) error {
		return conn.QueryRow(ctx, "select coalesce(sum(pg_total_relation_size(to_regclass(name))), 0)::bigint from unnest($1::text[]) name", e.s.names).Scan(&disk.Bytes)
	})
	return disk, err
}

// Check finds nothing: the database is the operator's to keep.
func (transactions) Check(context.Context) ([]string, error) { return nil, nil }

// Misplaced compares the columns that indexes are made of.
func (t *tx) Misplaced(some []rows.Row) ([]rows.Ref, error) {
	if len(some) == 0 {
		return nil, nil
	}
	table, wanted, ids := t.tables[some[0].Kind], map[string][]any{}, make([][]byte, 0, len(some))
	for _, row := range some {
		wanted[row.ID] = table.arguments(row)[2:] // behind id and record
		ids = append(ids, []byte(row.ID))
	}
	columns := append([]string{"id"}, table.named...)
	b := t.batch()
	b.Queue("select "+strings.Join(columns, ", ")+" from "+table.table+" where id = any($1)", ids)
	err := t.send(b, func(results pgx.BatchResults) error {
		found, err := results.Query()
		if err != nil {
			return err
		}
		defer found.Close()
		for found.Next() {
			values, err := found.Values()
			if err != nil {
				return err
			}
			id, _ := values[0].([]byte)
			if want, ok := wanted[string(id)]; ok && sameColumns(want, values[1:]) {
				delete(wanted, string(id))
			}
		}
		return found.Err()
	})
	var wrong []rows.Ref
	for _, row := range some {
		if _, left := wanted[row.ID]; left {
			wrong = append(wrong, row.Ref)
		}
	}
	return wrong, err
}

func sameColumns(want, got []any) bool {
	for i := range want {
		switch w := want[i].(type) {
		case []byte:
			if g, ok := got[i].([]byte); !ok || !bytes.Equal(w, g) {
				return false
			}
		default:
			if want[i] != got[i] {
				return false
			}
		}
	}
	return true
}

// Strays finds none: places are columns of their row.
func (t *tx) Strays(int, func(rows.Ref, []byte) []rows.Place) ([]string, error) { return nil, nil }
