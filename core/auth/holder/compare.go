// Package holder checks that a line is still its account's: the account that had a number must not see the data of its
// new holder.
package holder

import (
	"context"
	"encoding/hex"
	"errors"
	"sync"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/freshness"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/core/product"
	"phonebill/ports"
)

// Service compares accounts with the customers that KOS names for their lines. It is safe for concurrent use; the zero
// value of what is not exported is ready.
type Service struct {
	// Ask returns a fresh copy of the line's customer, or KOS's answer. The call names the request and the payer.
	Ask func(ctx context.Context, call ports.Call, n line.Number) (product.CustomerCopy, freshness.Source, error)
	// Stored returns the newest stored copy, however old.
	Stored func(ctx context.Context, n line.Number) (product.CustomerCopy, error)

	Fresh    time.Duration // how old a copy may be
	Bindings ports.Bindings
	Alerts   ports.Alerts
	Vault    ports.Vault // hides the line in alerts
	Now      ports.Clock

	mu      sync.Mutex
	known   map[line.Number]named
	matched map[match]time.Time // zero: they are the same for good; else they are not, as far as is known until then
	alerted map[match]time.Time
}

// named is the customer that KOS named for a line.
type named struct {
	customer string // empty when no copy is held
	fresh    bool   // not older than Fresh
	asOf     time.Time
	readAt   time.Time // when the copy was read
	until    time.Time // when it is read anew
}

// match is an account, one of its lines and a customer.
type match struct {
	account  auth.Holder
	line     line.Number
	customer string
}

const (
	// maxKnown bounds what a process remembers of each sort; then it begins anew.
	maxKnown = 100_000
	// recheckInterval is how long it is remembered that there is no fresh copy of a line's customer, and that an
	// account is another customer's: KOS may have been asked anew since, or staff may have corrected the account.
	recheckInterval = 10 * time.Second
	// alertInterval is after how long an alert about the same account and line is raised anew.
	alertInterval = 24 * time.Hour
)

// errUnknown is the cause of a line of which KOS does not state now whose it is.
var errUnknown = errors.New("holder: kos does not state whose line it is")

// Find returns the customer that KOS names for the line, not older than Fresh; also an answer that is
// unusable otherwise may name that customer. It fails with LINE_NOT_FOUND when KOS does not know the line, and with
// SERVICE_UNAVAILABLE for anything else.
func (s *Service) Find(ctx context.Context, call ports.Call, n line.Number) (customer string, err error) {
	c, source, err := s.Ask(ctx, call, n)
	var only ports.NamedError
	switch {
	case errors.Is(err, fault.New(fault.LineNotFound)):
		return "", err
	case errors.As(err, &only):
		s.remember(n, product.CustomerCopy{Customer: product.Customer{CustomerID: only.Customer}, AsOf: s.Now()})
		return only.Customer, nil
	// no copy is kept of such an answer, and the line may rest after it
	case err != nil && s.rememberedCustomer(n) != "":
		return s.rememberedCustomer(n), nil
	case err != nil:
		return "", fault.New(fault.ServiceUnavailable).RetryIn(fault.From(err).RetryAfter()).
			Because(errors.Join(errUnknown, err))
	case source == freshness.FromStale || c.Customer.CustomerID == "":
		return "", fault.New(fault.ServiceUnavailable).Because(errUnknown)
	}
	s.remember(n, c)
	return c.Customer.CustomerID, nil
}

// Known returns the customer that the last good copy of the line names, empty when there is none, and whether that is
// fresh. KOS is not asked. What this process remembers costs no access to a store.
func (s *Service) Known(ctx context.Context, n line.Number) (customer string, fresh bool) {
	s.mu.Lock()
	k, ok := s.known[n]
	s.mu.Unlock()
	now := s.Now()
	if ok && now.Before(k.until) {
		return k.customer, k.fresh
	}
	k = s.readCopy(ctx, n, k)
	return k.customer, k.fresh
}

// readCopy reads the stored copy. What KOS has named to this process after that copy stays.
func (s *Service) readCopy(ctx context.Context, n line.Number, k named) named {
	c, err := s.Stored(ctx, n)
	if err != nil || c.AsOf.Before(k.asOf) {
		c = product.CustomerCopy{Customer: product.Customer{CustomerID: k.customer}, AsOf: k.asOf}
	}
	return s.remember(n, c)
}

// rememberedCustomer returns the customer that KOS has named to this process within Fresh, empty when there is none.
func (s *Service) rememberedCustomer(n line.Number) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.known[n]; k.fresh && s.Now().Before(k.until) {
		return k.customer
	}
	return ""
}

func (s *Service) remember(n line.Number, c product.CustomerCopy) named {
	k := named{customer: c.Customer.CustomerID, asOf: c.AsOf, readAt: s.Now(), until: c.AsOf.Add(s.Fresh)}
	if k.fresh = k.readAt.Before(k.until); !k.fresh {
		k.until = k.readAt.Add(recheckInterval)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxKnown {
		s.known = map[line.Number]named{}
	}
	s.known[n] = k
	return k
}

// Check returns nil when the customer that KOS names for the line is the account's. Else it is LINE_NOT_FOUND, and
// staff are alerted once; SERVICE_UNAVAILABLE when that is not known now.
func (s *Service) Check(ctx context.Context, a auth.Holder, n line.Number, customer string) error {
	same, err := s.Matches(ctx, a, n, customer)
	switch {
	case err != nil:
		return fault.New(fault.ServiceUnavailable).Because(err)
	case same:
		return nil
	}
	s.alert(ctx, match{a, n, customer})
	return fault.New(fault.LineNotFound)
}

// CheckFresh is Check with a fresh copy, without asking KOS; nil when there is none, for KOS may name the account's
// customer again.
func (s *Service) CheckFresh(ctx context.Context, a auth.Holder, n line.Number) error {
	return s.checkHeld(ctx, a, n, true)
}

// CheckKnown is Check with the last good copy, however old; nil when there is none. It is for what was fetched before:
// once KOS has named another customer, nothing of that is shown until it names the account's again.
func (s *Service) CheckKnown(ctx context.Context, a auth.Holder, n line.Number) error {
	return s.checkHeld(ctx, a, n, false)
}

// checkHeld is Check with the last good copy if it is fresh enough. Before an account is refused by what this process
// remembers, the copy is read anew, for another process may have asked KOS since.
func (s *Service) checkHeld(ctx context.Context, a auth.Holder, n line.Number, fresh bool) error {
	customer, isFresh := s.Known(ctx, n)
	if customer != "" && s.readLongAgo(n) {
		if same, err := s.Matches(ctx, a, n, customer); err == nil && !same {
			s.mu.Lock()
			k := s.known[n]
			s.mu.Unlock()
			k = s.readCopy(ctx, n, k)
			customer, isFresh = k.customer, k.fresh
		}
	}
	if customer == "" || fresh && !isFresh {
		return nil
	}
	return s.Check(ctx, a, n, customer)
}

// readLongAgo reports that the copy of the line was read longer than recheckInterval ago.
func (s *Service) readLongAgo(n line.Number) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.Now().Before(s.known[n].readAt.Add(recheckInterval))
}

// Matches reports whether the customer is the account's. An account that names none is bound to the first one.
func (s *Service) Matches(ctx context.Context, a auth.Holder, n line.Number, customer string) (bool, error) {
	bound := line.Number{}
	switch a.CustomerID {
	case "":
	case auth.PerLine:
		bound = n
	default:
		return a.CustomerID == customer, nil
	}
	m := match{a, bound, customer}
	s.mu.Lock()
	until, known := s.matched[m]
	s.mu.Unlock()
	if known && (until.IsZero() || s.Now().Before(until)) {
		return until.IsZero(), nil
	}
	same, err := s.Bindings.Bind(ctx, a.UserID, bound, customer)
	if err != nil {
		return false, err
	}
	until = time.Time{}
	if !same {
		until = s.Now().Add(recheckInterval)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.matched == nil || len(s.matched) >= maxKnown {
		s.matched = map[match]time.Time{}
	}
	s.matched[m] = until
	return same, nil
}

// alert raises one alert about an account and a line, not one a request.
func (s *Service) alert(ctx context.Context, m match) {
	now := s.Now()
	s.mu.Lock()
	if s.alerted == nil || len(s.alerted) >= maxKnown {
		s.alerted = map[match]time.Time{}
	}
	again := s.alerted[m]
	if now.Before(again) {
		s.mu.Unlock()
		return
	}
	s.alerted[m] = now.Add(alertInterval)
	s.mu.Unlock()
	s.Alerts.Raise(ctx, operations.Alert{
		Kind: operations.LineElsewhere, Subject: s.subject(m.account.UserID, m.line),
		Note: "KOS names another customer for a line than its account does; the account is shown nothing of that line",
	})
}

// subject names account and line by a keyed hash, which only those with the keyring can resolve.
func (s *Service) subject(account auth.UserID, n line.Number) string {
	const shown = 8 // bytes
	return hex.EncodeToString(s.Vault.Index(ports.LineIndex, n.Digits())[:shown]) + "/" +
		hex.EncodeToString(s.Vault.Index("auth.subject", string(account))[:shown])
}
