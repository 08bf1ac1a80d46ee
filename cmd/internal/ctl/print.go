package ctl

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"phonebill/core/auth"
	"phonebill/core/auth/selfservice"
	"phonebill/core/line"
)

// printer writes rows of columns; the first error is kept for the end.
type printer struct {
	lang lang
	w    *tabwriter.Writer
	err  error
}

func (c Console) printer() *printer {
	const gap = 2
	return &printer{lang: c.lang, w: tabwriter.NewWriter(c.Out, 0, 0, gap, ' ', 0)}
}

func (p *printer) line(cells ...string) {
	_, err := fmt.Fprintln(p.w, strings.Join(cells, "\t"))
	p.err = errors.Join(p.err, err)
}

// head writes the names of the columns, which are in the catalogue.
func (p *printer) head(names ...string) {
	for i, n := range names {
		names[i] = p.lang.text(n)
	}
	p.line(names...)
}

// row writes a named value; the name is in the catalogue.
func (p *printer) row(name string, cells ...string) {
	p.line(append([]string{p.lang.text(name)}, cells...)...)
}

// say writes a whole line of text.
func (p *printer) say(key string, args ...any) { p.line(fmt.Sprintf(p.lang.text(key), args...)) }

// factor shows a second factor that its owner has to be handed.
func (p *printer) factor(e selfservice.Enrolment) {
	p.row("second factor", e.URI.Reveal())
	for _, code := range e.RecoveryCodes {
		p.row("recovery code", code.Reveal())
	}
}

func (p *printer) done() error { return errors.Join(p.err, p.w.Flush()) }

// stamp is a time as people read it here.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

func joined[T any](all []T, show func(T) string) string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = show(v)
	}
	if len(out) == 0 {
		return "-"
	}
	return strings.Join(out, " ")
}

func role(r auth.Role) string { return string(r) }

func (l lang) grant(g auth.Grant) string {
	s := string(g.Permission)
	if !g.ExpiresAt.IsZero() {
		s += fmt.Sprintf(l.text(" until %s"), stamp(g.ExpiresAt))
	}
	if g.GrantedBy != "" {
		s += fmt.Sprintf(l.text(" (by %s)"), g.GrantedBy)
	}
	return s
}

// printAccount shows what is personal masked by its own types, or in clear.
func (c Console) printAccount(a auth.Account, clear bool) error {
	name, email, number := a.Name.String(), a.Email.String(), line.Number.String
	if clear {
		name, email, number = a.Name.Reveal(), a.Email.Reveal(), line.Number.Hyphenated
	}
	p := c.printer()
	p.row("user", string(a.UserID))
	p.row("status", string(a.StatusNow(time.Now())))
	p.row("name", name)
	p.row("phone", number(a.Phone))
	p.row("email", email)
	p.row("customer", a.CustomerID)
	p.row("tier", string(a.Tier.OrDefault()))
	p.row("lines", joined(a.Lines, number))
	p.row("roles", joined(a.Roles, role))
	for _, g := range a.Grants {
		p.row("permission", c.lang.grant(g))
	}
	p.row("second factor", c.lang.text(map[bool]string{true: "yes", false: "no"}[a.SecondFactor]))
	if len(a.Unreadable) > 0 {
		p.row("cannot be opened", joined(a.Unreadable, func(part auth.Part) string { return string(part) }))
	}
	p.row("version", fmt.Sprint(a.Version))
	p.row("created", stamp(a.CreatedAt))
	p.row("last login", stamp(a.LastLoginAt))
	return p.done()
}

func (c Console) printAccounts(found []auth.Account, now time.Time, page, size, total int) error {
	p := c.printer()
	p.head("USER", "STATUS", "NAME", "CUSTOMER", "LINES", "ROLES", "LAST LOGIN")
	for _, a := range found {
		p.line(string(a.UserID), string(a.StatusNow(now)), c.lang.named(a.User), a.CustomerID,
			joined(a.Lines, line.Number.String),
			joined(a.Roles, role), stamp(a.LastLoginAt))
	}
	p.footer(page, size, total)
	return p.done()
}

// named is the masked name, and what of the account cannot be opened.
func (l lang) named(u auth.User) string {
	if len(u.Unreadable) == 0 {
		return u.Name.String()
	}
	parts := joined(u.Unreadable, func(p auth.Part) string { return string(p) })
	return strings.TrimSpace(u.Name.String() + fmt.Sprintf(l.text(" (cannot be opened: %s)"), parts))
}

// printClashes puts the ids of one folded id on one line.
func (c Console) printClashes(found []auth.UserID) error {
	p := c.printer()
	if len(found) == 0 {
		p.line("no two accounts differ in the case of their ids alone")
		return p.done()
	}
	for from := 0; from < len(found); {
		to := from + 1
		for to < len(found) && found[to].Same(found[from]) {
			to++
		}
		p.line(joined(found[from:to], func(u auth.UserID) string { return string(u) }))
		from = to
	}
	return p.done()
}

// footer prints where the page lies. Lists are counted no further than auth.MaxCounted.
func (p *printer) footer(page, size, total int) {
	text := "page %d of %d, %d in all"
	if total >= auth.MaxCounted {
		text = "page %d of %d, %d in all or more"
	}
	p.say(text, page, (total+size-1)/size, total)
}

func (c Console) printLogins(events []auth.LoginEvent, page, size, total int) error {
	p := c.printer()
	p.head("AT", "TYPE", "OUTCOME", "FROM", "SERVICE", "DEVICE")
	for _, e := range events {
		outcome := "ok"
		if !e.Success {
			outcome = e.Reason
		}
		p.line(stamp(e.At), string(e.Type), outcome, e.Client.IP, e.Client.Service, e.Client.UserAgent)
	}
	p.footer(page, size, total)
	return p.done()
}

func (c Console) printSessions(live []auth.Session) error {
	p := c.printer()
	p.head("SESSION", "BEGAN", "LAST SEEN", "ENDS", "FROM", "DEVICE")
	for _, s := range live {
		p.line(s.ID.String(), stamp(s.CreatedAt), stamp(s.LastSeenAt), stamp(s.ExpiresAt), s.Client.IP, s.Client.UserAgent)
	}
	return p.done()
}
