package holder_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/holder"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/line"
	"phonebill/core/product"
	"phonebill/ports"
	"phonebill/ports/portstest"
)

var errAway = errors.New("the database is away")

type lostBindings struct{}

func (lostBindings) Bind(context.Context, auth.UserID, line.Number, string) (bool, error) {
	return false, errAway
}

func TestFind(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	named := product.CustomerCopy{Customer: product.Customer{CustomerID: "C1"}, AsOf: now}
	for name, c := range map[string]struct {
		copy   product.CustomerCopy
		source freshness.Source
		err    error
		want   fault.Code
	}{
		"of KOS":             {named, freshness.FromKOS, nil, ""},
		"of a fresh copy":    {named, freshness.FromCache, nil, ""},
		"an old copy":        {named, freshness.FromStale, nil, fault.ServiceUnavailable},
		"names no customer":  {product.CustomerCopy{AsOf: now}, freshness.FromKOS, nil, fault.ServiceUnavailable},
		"no such line":       {named, "", fault.New(fault.LineNotFound), fault.LineNotFound},
		"KOS is away":        {named, "", fault.New(fault.ServiceUnavailable), fault.ServiceUnavailable},
		"allowance is spent": {named, "", fault.New(fault.RateLimitExceeded), fault.ServiceUnavailable},
	} {
		s := &holder.Service{
			Ask: func(context.Context, ports.Call, line.Number) (product.CustomerCopy, freshness.Source, error) {
				return c.copy, c.source, c.err
			},
			Fresh: 4 * time.Hour, Now: func() time.Time { return now },
		}
		customer, err := s.Find(t.Context(), ports.Call{}, portstest.Line(1))
		if c.want != "" {
			require.ErrorIs(t, err, fault.New(c.want), name)
			require.Empty(t, customer, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, "C1", customer, name)
	}
}

// TestAnAnswerThatOnlyNamesTheCustomer names the customer, also while the line rests after it, and no longer than a
// copy would.
func TestAnAnswerThatOnlyNamesTheCustomer(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	err := error(fault.New(fault.ServiceUnavailable).Because(ports.NamedError{Customer: "C1"}))
	require.NotContains(t, err.Error(), "C1", "which may be logged")
	s := &holder.Service{
		Ask: func(context.Context, ports.Call, line.Number) (product.CustomerCopy, freshness.Source, error) {
			return product.CustomerCopy{}, "", err
		},
		Fresh: 4 * time.Hour, Now: func() time.Time { return now },
	}
	find := func() string {
		customer, _ := s.Find(t.Context(), ports.Call{}, portstest.Line(1))
		return customer
	}
	require.Equal(t, "C1", find())
	err = fault.New(fault.ServiceUnavailable).RetryIn(time.Second)
	require.Equal(t, "C1", find())
	err = fault.New(fault.LineNotFound)
	require.Empty(t, find(), "what KOS states now counts")
	err = fault.New(fault.ServiceUnavailable)
	now = now.Add(4 * time.Hour)
	require.Empty(t, find())
}

// TestRememberedCustomersCostNoStoreAccess: a warm bill is shown without one.
func TestRememberedCustomersCostNoStoreAccess(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	reads, alerts, asOf := 0, &memory.Alerts{}, now.Add(-time.Hour)
	s := &holder.Service{
		Stored: func(context.Context, line.Number) (product.CustomerCopy, error) {
			reads++
			return product.CustomerCopy{Customer: product.Customer{CustomerID: "C1"}, AsOf: asOf}, nil
		},
		Fresh: 4 * time.Hour, Bindings: &memory.Bindings{}, Alerts: alerts, Vault: memory.Vault{},
		Now: func() time.Time { return now },
	}
	account := auth.Holder{UserID: "hong", CustomerID: "C1"}
	for range 10 {
		require.NoError(t, s.CheckKnown(t.Context(), account, portstest.Line(1)))
	}
	require.Equal(t, 1, reads)
	other := auth.Holder{UserID: "kim", CustomerID: "C2"}
	for range 10 {
		require.ErrorIs(t, s.CheckFresh(t.Context(), other, portstest.Line(1)), fault.New(fault.LineNotFound))
	}
	require.Equal(t, 1, reads)
	require.Len(t, alerts.Raised(), 1)
	now = now.Add(25 * time.Hour)
	require.NoError(t, s.CheckFresh(t.Context(), other, portstest.Line(1)), "an old copy ends no question")
	require.ErrorIs(t, s.CheckKnown(t.Context(), other, portstest.Line(1)), fault.New(fault.LineNotFound))
	require.Len(t, alerts.Raised(), 2)
}

// TestABindingThatCannotBeReadShowsNothing: an account that names no customer matches none.
func TestABindingThatCannotBeReadShowsNothing(t *testing.T) {
	t.Parallel()
	s := &holder.Service{Bindings: lostBindings{}, Alerts: &memory.Alerts{}, Vault: memory.Vault{}, Now: time.Now}
	err := s.Check(t.Context(), auth.Holder{UserID: "hong"}, portstest.Line(1), "C1")
	require.ErrorIs(t, err, fault.New(fault.ServiceUnavailable))
	s.Bindings = &memory.Bindings{}
	for _, n := range []int{1, 2} {
		require.NoError(t, s.Check(t.Context(), auth.Holder{UserID: "hong"}, portstest.Line(n), "C1"))
		company := auth.Holder{UserID: "company", CustomerID: auth.PerLine}
		require.NoError(t, s.Check(t.Context(), company, portstest.Line(n), fmt.Sprint("C", n)))
	}
	require.ErrorIs(t, s.Check(t.Context(), auth.Holder{UserID: "hong"}, portstest.Line(2), "C2"),
		fault.New(fault.LineNotFound))
}

// TestACorrectionIsAccepted: an account whose customer id staff have set at once, whatever it was bound to; a
// line that KOS gives a new customer id once the copy is new, though this process remembers the old one; and a binding
// that was mended, without a restart.
func TestACorrectionIsAccepted(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	held := product.CustomerCopy{Customer: product.Customer{CustomerID: "C1"}, AsOf: now}
	s := &holder.Service{
		Stored: func(context.Context, line.Number) (product.CustomerCopy, error) { return held, nil },
		Fresh:  4 * time.Hour, Bindings: &memory.Bindings{}, Alerts: &memory.Alerts{}, Vault: memory.Vault{},
		Now: func() time.Time { return now },
	}
	n, gone := portstest.Line(1), fault.New(fault.LineNotFound)
	first := auth.Holder{UserID: "hong"}
	require.NoError(t, s.CheckFresh(t.Context(), first, n), "it is bound to C1")
	corrected := auth.Holder{UserID: "hong", CustomerID: "C2"}
	require.ErrorIs(t, s.CheckFresh(t.Context(), corrected, n), gone)

	now = now.Add(time.Minute)
	held = product.CustomerCopy{Customer: product.Customer{CustomerID: "C2"}, AsOf: now} // another process has asked
	require.NoError(t, s.CheckFresh(t.Context(), corrected, n))
	require.NoError(t, s.CheckKnown(t.Context(), corrected, n))
	require.ErrorIs(t, s.CheckKnown(t.Context(), first, n), gone)
	older := held
	older.Customer.CustomerID, older.AsOf = "C1", now.Add(-time.Hour)
	held, now = older, now.Add(time.Minute)
	require.ErrorIs(t, s.CheckKnown(t.Context(), first, n), gone, "what KOS named last counts")

	s.Bindings = &memory.Bindings{}
	now = now.Add(time.Minute)
	require.NoError(t, s.CheckKnown(t.Context(), first, n))
}
