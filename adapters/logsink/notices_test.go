package logsink_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/logsink"
	"phonebill/core/calendar"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

func TestNotifier(t *testing.T) {
	t.Parallel()
	portstest.Notifier(t, func(*testing.T) (ports.Notifier, func(id.ID) int) {
		var out bytes.Buffer
		return logsink.NewNotifier(slog.New(slog.NewJSONHandler(&out, nil))), func(order id.ID) int {
			return strings.Count(out.String(), `"msg":"customer notice","requestId":"`+order.String()+`"`)
		}
	})
}

func TestANoticeHoldsNothingPersonal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	day, err := calendar.ParseDate("d", "2026-12-01")
	require.NoError(t, err)
	require.NoError(t, logsink.NewNotifier(slog.New(slog.NewJSONHandler(&out, nil))).ChangeEnded(t.Context(),
		product.Order{
			ID: id.ID{1}, UserID: "hong1234", CustomerID: "C-0001", Line: portstest.Line(1), State: product.Failed,
			EffectiveDate: day,
			FailureReason: "미납",
		}))
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	delete(line, "time")
	require.Equal(t, map[string]any{
		"level": "INFO", "msg": "customer notice", "requestId": "01000000-0000-0000-0000-000000000000", "state": "FAILED",
		"effective_date": "2026-12-01",
	}, line)
}
