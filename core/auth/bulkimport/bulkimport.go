// Package bulkimport loads the accounts of many customers from a file: in batches that are stored whole or not at all,
// so that a load may be repeated after any interruption.
package bulkimport

import (
	"context"
	"encoding/json"
	"iter"
	"runtime"
	"sync"
	"time"

	"phonebill/core/audit"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/ports"
)

// Service loads customers. All fields are required.
type Service struct {
	Accounts      ports.AccountImport
	Hasher        ports.PasswordHasher
	Audit         ports.AuditLog
	CheckPassword func(field string, user auth.UserID, password personal.Secret) error
	Now           ports.Clock
	NewID         ports.IDs
}

// A batch is what is stored in one transaction: enough rows that the transaction's cost is negligible, but few that
// have to be hashed, so that an interruption loses no more than a second or two of hashing (some 30 hashes a second and
// core).
const (
	batch     = 250
	batchHash = 50
)

// Load is one load of one source.
type Load struct {
	By     string // as it stands in the audit log
	Source string // name of the file
	Reason string
	// Refused receives each row that is not taken, in order; an error ends the import.
	Refused func(Row, error) error
	// Progress receives the figures after every batch; it may be nil.
	Progress func(Result)
}

// Result are the figures of a load: Read = Added + Skipped + Refused. Skipped are ids that were taken before.
type Result struct{ Read, Added, Skipped, Refused int }

// Run imports the rows as they come, in little memory. Ids that exist already are skipped before anything is hashed, so
// that an interrupted import is continued by running it again. When ctx ends, whole batches are stored and ctx's error
// is returned. The audit log has the intent before the first row is stored, and the outcome after.
func (s *Service) Run(ctx context.Context, l Load, rows iter.Seq[Row]) (done Result, err error) {
	reason, err := auth.ParseReason(l.Reason)
	if err != nil {
		return done, err
	}
	began, call := s.Now(), s.NewID().String()
	entry := func(outcome audit.Outcome) audit.Entry {
		detail, err := json.Marshal(map[string]any{
			"call": call, "source": l.Source, "read": done.Read, "added": done.Added, "skipped": done.Skipped,
			"refused": done.Refused,
		})
		if err != nil {
			detail = []byte(`{}`) // texts and numbers always marshal
		}
		return audit.Entry{At: s.Now(), Actor: l.By, Action: "USERS_IMPORTED", Reason: reason, Outcome: outcome,
			Detail: string(detail)}
	}
	if err := s.Audit.Append(ctx, entry(audit.Intended)); err != nil {
		return done, err
	}
	if err = s.all(ctx, l, rows, began, &done); err != nil {
		outcome := audit.Outcome(fault.From(err).Code())
		if ctx.Err() != nil {
			outcome = "INTERRUPTED"
		}
		_ = s.Audit.Append(context.WithoutCancel(ctx), entry(outcome)) // the intent is recorded; err has the details
		return done, err
	}
	return done, s.Audit.Append(ctx, entry(audit.Done))
}

func (s *Service) all(ctx context.Context, l Load, rows iter.Seq[Row], began time.Time, done *Result) error {
	next, costly := make([]Row, 0, batch), 0
	for r := range rows {
		if r.PasswordHash.Reveal() == "" {
			costly++
		}
		if next = append(next, r); len(next) < batch && costly < batchHash {
			continue
		}
		if err := s.take(ctx, l, next, began, done); err != nil {
			return err
		}
		next, costly = next[:0], 0
	}
	return s.take(ctx, l, next, began, done)
}

// candidate is a row that may become an account; bad says why it does not.
type candidate struct {
	Row
	user auth.User
	bad  error
	skip bool
}

// take stores one batch.
func (s *Service) take(ctx context.Context, l Load, rows []Row, began time.Time, done *Result) error {
	if err := ctx.Err(); err != nil || len(rows) == 0 {
		return err
	}
	all := make([]candidate, len(rows))
	ids := make([]auth.UserID, 0, len(rows))
	for i, r := range rows {
		all[i].Row = r
		if all[i].user, all[i].bad = r.customer(l.By, began, s.CheckPassword); all[i].bad == nil {
			ids = append(ids, all[i].user.UserID)
		}
	}
	known, err := s.Accounts.Known(ctx, ids)
	if err != nil {
		return err
	}
	skipKnown(all, known, began)
	if err := s.refuseHeld(ctx, all); err != nil {
		return err
	}
	if err := s.hash(ctx, all); err != nil {
		return err
	}
	added, err := s.Accounts.AddAll(ctx, fresh(all))
	if err != nil {
		return err
	}
	return reportProgress(l, all, added, done)
}

// skipKnown marks the accounts that exist already. An account that this very import made was named by an earlier row of
// the same source; that needs no memory of all ids.
func skipKnown(all []candidate, known map[auth.UserID]time.Time, began time.Time) {
	twice := fault.InvalidField("user_id", "파일 안에서 중복된 ID입니다")
	seen := map[auth.UserID]bool{}
	for i := range all {
		c := &all[i]
		if c.bad != nil {
			continue
		}
		since, taken := known[c.user.UserID]
		switch {
		case seen[c.user.UserID.Folded()], taken && since.Equal(began):
			c.bad = twice
		case taken:
			c.skip = true
		}
		seen[c.user.UserID.Folded()] = true
	}
}

// refuseHeld refuses rows with a line that an account holds already, or that an earlier row of the batch has: a bulk
// import moves no line.
func (s *Service) refuseHeld(ctx context.Context, all []candidate) error {
	var wanted []line.Number
	for _, c := range all {
		if c.bad == nil && !c.skip {
			wanted = append(wanted, c.user.Lines...)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	holders, err := s.Accounts.Holders(ctx, wanted)
	if err != nil {
		return err
	}
	for i := range all {
		c := &all[i]
		if c.bad != nil || c.skip {
			continue
		}
		for _, n := range c.user.Lines {
			if _, held := holders[n]; held {
				c.bad = auth.HeldLine(n)
			}
		}
		for _, n := range c.user.Lines {
			if c.bad == nil {
				holders[n] = c.user.UserID
			}
		}
	}
	return nil
}

func fresh(all []candidate) []auth.User {
	var users []auth.User
	for _, c := range all {
		if c.bad == nil && !c.skip {
			users = append(users, c.user)
		}
	}
	return users
}

// hash fills in the hashes, on all cores as far as the hasher allows.
func (s *Service) hash(ctx context.Context, all []candidate) error {
	work := make(chan *candidate)
	var wait sync.WaitGroup
	var once sync.Once
	var trouble error
	for range runtime.NumCPU() {
		wait.Go(func() {
			for c := range work {
				var err error
				if c.user.PasswordHash, err = s.Hasher.Hash(ctx, c.Password); err != nil {
					once.Do(func() { trouble = err })
				}
			}
		})
	}
	for i := range all {
		c := &all[i]
		switch {
		case c.bad != nil || c.skip:
		case c.PasswordHash.Reveal() != "":
			c.user.PasswordHash = c.PasswordHash
		case ctx.Err() == nil:
			work <- c
		}
	}
	close(work)
	wait.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return trouble
}

// reportProgress reports the refused rows and the figures.
func reportProgress(l Load, all []candidate, added int, done *Result) error {
	for _, c := range all {
		done.Read++
		switch {
		case c.bad != nil:
			done.Refused++
			if err := l.Refused(c.Row, c.bad); err != nil {
				return err
			}
		case c.skip:
			done.Skipped++
		}
	}
	done.Added += added
	done.Skipped = done.Read - done.Refused - done.Added // another process may have made an account meanwhile
	if l.Progress != nil {
		l.Progress(*done)
	}
	return nil
}
