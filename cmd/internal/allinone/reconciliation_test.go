package allinone_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/postgres"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/ctl"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/core/request"
)

// kosPost asks KOS itself, with the credential of the services.
func kosPost(t *testing.T, url string, body any, into any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(running.dir, "secrets.json"))
	require.NoError(t, err)
	secrets := map[string]string{}
	require.NoError(t, json.Unmarshal(raw, &secrets))
	raw, err = json.Marshal(body)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(raw))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+secrets["kos.token"])
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, json.NewDecoder(res.Body).Decode(into))
	require.NoError(t, res.Body.Close())
}

// bookkeeper writes into our book and into KOS's, past the services.
type bookkeeper struct {
	t      *testing.T
	orders *postgres.Orders
	at     time.Time // when its orders ended: long ago, so that no other test's are compared with them
}

func (b *bookkeeper) write(number string, state product.State, inKOS bool) (requestID string) {
	b.t.Helper()
	n, err := line.Parse(number)
	require.NoError(b.t, err)
	o := product.Order{
		ID: id.ID(uuid.Must(uuid.NewV7())), TransactionID: id.ID(uuid.Must(uuid.NewV7())), UserID: "nobody",
		CustomerID: "C", Line: n,
		From: "LTE-PREMIUM-001", To: "5G-STANDARD-001", EffectiveDate: calendar.MonthOf(time.Now()).Add(1).First(),
		Rule: product.FirstOfNextMonth, State: product.Requested, RequestedAt: b.at, NextAttemptAt: time.Now().Add(time.Hour),
	}
	require.NoError(b.t, b.orders.Add(b.t.Context(), o, request.KeyUse{}))
	if inKOS {
		var answer struct{ ResultCode string }
		kosPost(b.t, running.KOS.URL+"/kos/product/change", map[string]string{
			"transactionId": o.TransactionID.String(), "lineNumber": number, "currentProductCode": o.From,
			"newProductCode": o.To,
			"effectiveDate":  o.EffectiveDate.Compact(), "changeReason": "고객 요청",
		}, &answer)
		require.Equal(b.t, "0000", answer.ResultCode)
	}
	o.State, o.ProcessedAt, o.ResultMessage, o.ResultCode = state, b.at, product.ChangedMessage, "0000"
	_, err = b.orders.Save(b.t.Context(), o, b.at)
	require.NoError(b.t, err)
	return o.ID.String()
}

// TestTheBooksAreCompared: each difference that was made is found, nothing else is, and nothing is changed by it.
func TestTheBooksAreCompared(t *testing.T) {
	t.Parallel()
	needSystem(t)
	keyring, err := vault.Open(filepath.Join(running.dir, "keyring.json"))
	require.NoError(t, err)
	pool, err := postgres.Pool(t.Context(), running.Databases["product"], postgres.PoolConfig{})
	require.NoError(t, err)
	defer pool.Close()
	var lines []string
	kosPost(t, running.KOS.Control+"/control/customers", map[string]int{"count": 4, "seed": 4711}, &lines)
	require.Len(t, lines, 4)
	book := bookkeeper{t, postgres.NewOrders(pool, keyring),
		time.Now().AddDate(0, 0, -10).UTC().Truncate(time.Microsecond)}
	doneHere := book.write(lines[0], product.Completed, false)
	doneThere := book.write(lines[1], product.Failed, true)
	all := []string{doneHere, doneThere, book.write(lines[2], product.Completed, true),
		book.write(lines[3], product.Cancelled, false)}

	ours := func() string {
		rows, err := pool.Query(t.Context(),
			`SELECT o::text FROM change_orders o WHERE id = ANY($1::uuid[]) ORDER BY id`, all)
		require.NoError(t, err)
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return strings.Join(texts, "\n")
	}
	theirs := func() (rows []string) {
		var ledger []struct{ TransactionID, LineNumber, To string }
		getJSON(t, running.KOS.Control+"/control/ledger", &ledger)
		for _, r := range ledger {
			if strings.Contains(strings.Join(lines, " "), r.LineNumber) {
				rows = append(rows, fmt.Sprint(r))
			}
		}
		return rows
	}
	require.Eventually(t, func() bool { // all delivered, and no more
		return strings.Count(ours(), ",DELIVERED,") == len(all) && unnotified(t, pool, all) == 0
	}, 30*time.Second, 100*time.Millisecond)
	before, ledger := ours(), theirs()
	require.Len(t, ledger, 2)

	window := []string{"reconciliation", "check", "--since", "2h", "--until", book.at.Add(time.Hour).Format(time.RFC3339)}
	out, _, err := command(t, "", window...)
	require.ErrorIs(t, err, ctl.ErrDiffer, out)
	found := map[string]string{}
	for _, row := range strings.Split(out, "\n") {
		if fields := strings.Fields(row); len(fields) > 3 && strings.Count(fields[0], "-") == 4 {
			found[fields[0]] = fields[2]
		}
	}
	require.Equal(t, map[string]string{doneHere: "OURS_DONE_KOS_NOT", doneThere: "OURS_FAILED_KOS_DONE"}, found, out)
	require.Contains(t, out, "4 orders compared, 2 differences; KOS asked 4 times, undecided 0, not asked 0; finished")
	require.NotContains(t, out, lines[0], "lines are masked")
	require.Equal(t, before, ours())
	require.Equal(t, ledger, theirs())
	shown, _, err := command(t, "", "reconciliation", "show")
	require.ErrorIs(t, err, ctl.ErrDiffer)
	require.Equal(t, out, shown)

	logs := running.logs.String()
	require.Contains(t, logs, `"requestId":"`+doneHere+`","kind":"OURS_DONE_KOS_NOT"`)
	require.Contains(t, logs, `"books_differ"`)
	res, err := http.Get(running.Metrics["product"])
	require.NoError(t, err)
	var metrics bytes.Buffer
	_, err = metrics.ReadFrom(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Contains(t, metrics.String(), `phonebill_books_differences_total{kind="OURS_DONE_KOS_NOT"} 1`)
	require.Contains(t, metrics.String(), "phonebill_books_checked_total 4")

	window[3] = "1s"
	out, _, err = command(t, "", window...)
	require.NoError(t, err, out)
	require.Contains(t, out, "0 orders compared, 0 differences")
}

// unnotified counts those whose customers are still to be notified: that changes their rows.
func unnotified(t *testing.T, pool interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, all []string) (n int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(),
		`SELECT count(*) FROM change_orders WHERE id = ANY($1::uuid[]) AND notify_at IS NOT NULL`, all).Scan(&n))
	return n
}
