package cases_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/operations"
	"phonebill/core/staff/cases"
	"phonebill/ports"
)

var signedIn = auth.Principal{UserID: "op", Roles: []auth.Role{auth.Operator},
	Permissions: []auth.Permission{auth.Operations}}

// reports collects what is reported to the operator's log.
type reports struct {
	mu   sync.Mutex
	errs []string
}

func (r *reports) report(_ context.Context, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err.Error())
}

func answering(s operations.Status) func(context.Context) (operations.Status, error) {
	return func(context.Context) (operations.Status, error) { return s, nil }
}

func failing(err error) func(context.Context) (operations.Status, error) {
	return func(context.Context) (operations.Status, error) { return operations.Status{}, err }
}

func TestEveryInstanceIsListed(t *testing.T) {
	t.Parallel()
	instances, log := &memory.Instances{}, &reports{}
	bill := func(name string) operations.Instance { return operations.Instance{Service: "bill-inquiry", Name: name} }
	status := operations.Status{Service: "bill-inquiry", Breakers: []operations.Breaker{{Name: "bill.inquiry",
		State: operations.Open}}}
	instances.Add(bill("a"), answering(status))
	instances.Add(bill("dead"), nil)
	instances.Add(bill("locked"), failing(errors.Join(errors.New("401"), ports.ErrRefused)))
	instances.Add(bill("strange"), failing(ports.ErrBadAnswer))
	instances.Add(bill("z"), answering(operations.Status{}))
	s := cases.Overview{Instances: instances, Report: log.report}
	got, err := s.Ask(t.Context(), signedIn)
	require.NoError(t, err)
	require.Equal(t, []operations.Answer{
		{Instance: bill("a"), Status: status},
		{Instance: bill("dead"), Trouble: operations.NoConnection},
		{Instance: bill("locked"), Trouble: operations.Refused},
		{Instance: bill("strange"), Trouble: operations.BadAnswer},
		{Instance: bill("z")},
	}, got)
	require.Len(t, log.errs, 3)
	require.Contains(t, log.errs, "bill-inquiry dead cannot be asked: memory: nothing listens")
}

// TestAPageAsksItsServices, and the one that asks is among them under its own name.
func TestAPageAsksItsServices(t *testing.T) {
	t.Parallel()
	instances := &memory.Instances{}
	since := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	gone, auths := operations.Instance{Service: "gateway", Name: "g"}, operations.Instance{Service: "auth", Name: "a"}
	instances.Add(gone, failing(&ports.GoneError{Since: since}))
	instances.Add(auths, answering(operations.Status{Service: "auth"}))
	self := operations.Answer{
		Instance: operations.Instance{Service: "gateway", Name: "own"},
		Status:   operations.Status{Service: "gateway", Process: operations.Process{ID: "1"}},
	}
	s := cases.Overview{
		Instances: instances, Report: (&reports{}).report,
		Self: func(context.Context) operations.Answer { return self },
	}
	left := operations.Answer{Instance: gone, Trouble: operations.Gone, GoneSince: since}
	there := operations.Answer{Instance: auths, Status: operations.Status{Service: "auth"}}
	for name, c := range map[string]struct {
		services []string
		want     []operations.Answer
	}{
		"all":     {nil, []operations.Answer{self, left, there}},
		"its own": {[]string{"gateway"}, []operations.Answer{self, left}},
		"another": {[]string{"auth"}, []operations.Answer{there}},
	} {
		got, err := s.Ask(t.Context(), signedIn, c.services...)
		require.NoError(t, err)
		require.Equal(t, c.want, got, name)
	}
}

// TestASlowInstanceDelaysNoOther: all are asked at once, so any number of hanging ones costs a second.
func TestASlowInstanceDelaysNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) (operations.Status, error) {
			<-ctx.Done()
			return operations.Status{}, ctx.Err()
		}
		instances := &memory.Instances{}
		for _, name := range []string{"a", "b", "c"} {
			instances.Add(operations.Instance{Name: name}, hang)
		}
		instances.Add(operations.Instance{Name: "well"}, answering(operations.Status{Service: "x"}))
		s := cases.Overview{Instances: instances, Report: (&reports{}).report}
		began := time.Now()
		got, err := s.Ask(t.Context(), signedIn)
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(began))
		require.Len(t, operations.Unreached(got), 3)
		for _, a := range operations.Unreached(got) {
			require.Equal(t, operations.TooSlow, a.Trouble)
		}
		require.Equal(t, "x", operations.Reached(got)[0].Status.Service)
	})
}

func TestStaffAlone(t *testing.T) {
	t.Parallel()
	instances := &memory.Instances{}
	instances.Add(operations.Instance{}, func(context.Context) (operations.Status, error) {
		t.Error("asked for a customer")
		return operations.Status{}, nil
	})
	s := cases.Overview{Instances: instances, Report: (&reports{}).report}
	_, err := s.Ask(t.Context(), auth.Principal{Roles: []auth.Role{auth.Customer},
		Permissions: []auth.Permission{auth.Operations}})
	require.ErrorIs(t, err, fault.New(fault.PermissionDenied))
}

func TestNoInstances(t *testing.T) {
	t.Parallel()
	s := cases.Overview{Instances: &memory.Instances{}, Report: (&reports{}).report}
	got, err := s.Ask(t.Context(), auth.Principal{Roles: []auth.Role{auth.Admin}})
	require.NoError(t, err)
	require.Empty(t, got)
}
