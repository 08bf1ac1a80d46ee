package ctl

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	compose "phonebill/cmd/internal/compose/auth"
	"phonebill/core/audit"
	"phonebill/core/audit/trail"
	"phonebill/core/auth/admin"
	"phonebill/core/id"
)

const verifyAuditHelp = `Check every row, chain and signed checkpoint of the audit log. A row that was changed,
added, taken out or cut off is named, and the exit code is 1. An empty log is an error, too. It says where the
keyed rows begin, which cannot be made without the keyring, and which checkpoint closed the rows without a key
that an older release wrote.

What nothing inside the database can tell is found by an anchor: whether the log was emptied and began anew,
or the last rows and checkpoints were cut off together. An anchor is what this command printed last
(SEQ:HASH), a file that holds such lines, or a log file of the auth service ("audit checkpoint" each minute,
"audit" for each row), which belongs on another machine.`

func (c Console) audit() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "Read and check the audit log"}
	var anchors []string
	verify := &cobra.Command{
		Use: "verify", Short: "Check every row, chain and signed checkpoint of the audit log",
		Long: verifyAuditHelp,
		Example: `  phonebillctl audit verify
  phonebillctl audit verify --anchor 57:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  phonebillctl audit verify --anchor /mnt/logs/auth.log`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			anchor, err := readAnchors(anchors)
			if err != nil {
				return err
			}
			return c.do(cmd.Context(), func(a *compose.Admin, _ admin.Caller) error {
				a.Attest.Progress = c.verifying()
				r, err := a.Attest.Verify(cmd.Context(), anchor)
				if err != nil {
					return err
				}
				return c.whole(r, anchor)
			})
		},
	}
	verify.Flags().StringArrayVar(&anchors, "anchor", nil,
		"what is known of the log from elsewhere: SEQ:HASH, or a file (may be repeated)")
	cmd.AddCommand(verify, c.showAudit())
	return cmd
}

const showAuditHelp = `Show what staff did, the newest first. Personal data is in the log masked only. That it was
shown is recorded, too.

A change has two rows: INTENDED before it, and what came of it. This command checks no chain; "phonebillctl
audit verify" does.`

func (c Console) showAudit() *cobra.Command {
	var f audit.Filter
	var ago time.Duration
	cmd := &cobra.Command{
		Use: "show", Short: "Show what staff did, the newest first",
		Long: showAuditHelp,
		Example: `  phonebillctl audit show --subject hong-gildong --since 72h
  phonebillctl audit show --actor ops-kim --action USER_UNLOCKED`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkPage(f.Page, f.Size); err != nil {
				return err
			}
			if ago > 0 {
				f.Since = time.Now().Add(-ago)
			}
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				page, total, err := a.Log.List(cmd.Context(), trail.By{Name: by.Name, Roles: by.Roles}, f)
				if err != nil {
					return err
				}
				return c.printAudit(page, f, total)
			})
		},
	}
	cmd.Flags().StringVar(&f.Actor, "actor", "", "only what this person did: a user id, or cli:<account>")
	cmd.Flags().StringVar(&f.Action, "action", "", "only this action, like USER_UNLOCKED")
	cmd.Flags().StringVar(&f.Subject, "subject", "", "only what was done to this account or request")
	cmd.Flags().DurationVar(&ago, "since", 0, "only what is not older than this; 0 = all")
	paged(cmd, &f.Page, &f.Size)
	return cmd
}

func (c Console) printAudit(page []audit.Entry, f audit.Filter, total int) error {
	p := c.printer()
	p.head("AT", "ACTOR", "ACTION", "SUBJECT", "OUTCOME", "FROM", "REASON", "FACTS")
	for _, e := range page {
		p.line(stamp(e.At), e.Actor, e.Action, orDash(e.Subject), string(e.Outcome), orDash(e.IP), orDash(oneLine(e.Reason)),
			oneLine(e.Detail))
	}
	p.footer(f.Page, f.Size, total)
	return p.done()
}

// oneLine keeps a text with line ends in its row.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func (c Console) whole(r trail.Report, anchor audit.Anchor) error {
	p := c.printer()
	p.say("the audit log is whole: %d rows of %d writers, %d checkpoints", r.Rows, r.Writers, r.Checkpoints)
	if first := r.FirstKeyed; first.Seq > 0 {
		p.say("keyed rows begin with row %d of writer %s, %s", first.Seq, first.Writer, stamp(first.At))
	} else {
		p.say("no row is keyed")
	}
	if r.ClosedBy > 0 {
		p.say("%d rows without a key came before checkpoint %d, which closed them", r.Unkeyed, r.ClosedBy)
	} else {
		p.say("%d rows without a key are believed: an older release may still write them", r.Unkeyed)
	}
	if len(anchor.Checkpoints)+len(anchor.Rows) > 0 {
		p.say("it holds what the anchor knows: %d checkpoints, %d rows", len(anchor.Checkpoints), len(anchor.Rows))
	} else {
		p.say("without an anchor a log that was emptied and began anew looks like a young one")
	}
	if r.Last.Seq > 0 {
		p.say("anchor for the next time: %d:%x", r.Last.Seq, r.Last.Hash)
	} else {
		p.say("no checkpoint is made yet: there is no anchor for the next time")
	}
	return p.done()
}

// verifying shows how far the check of the rows is.
func (c Console) verifying() func(done, all int) {
	progress := c.meter(progressInterval)
	return func(done, all int) {
		if progress.due() {
			c.say("%d of %d rows checked, about %s left\n", done, all, progress.left(float64(done)/float64(max(all, 1))))
		}
	}
}

// readAnchors takes SEQ:HASH and files.
func readAnchors(given []string) (all audit.Anchor, err error) {
	for _, text := range given {
		if m, ok := anchorLine(text); ok {
			all.Checkpoints = append(all.Checkpoints, m)
			continue
		}
		if err := readAnchorFile(text, &all); err != nil {
			return all, err
		}
	}
	return all, nil
}

func readAnchorFile(path string, into *audit.Anchor) error {
	file, err := os.Open(path)
	if err != nil {
		return failf("--anchor is SEQ:HASH or a file: %w", err)
	}
	defer func() { _ = file.Close() }()
	before := len(into.Checkpoints) + len(into.Rows)
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadString('\n')
		addAnchor(strings.TrimSpace(line), into)
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
	}
	if len(into.Checkpoints)+len(into.Rows) == before {
		return failf("%s holds no anchor: neither SEQ:HASH nor lines of the auth service's log", path)
	}
	return nil
}

// logged is a line of the auth service's log about the audit log.
type logged struct {
	Msg    string `json:"msg"`
	Writer string `json:"writer"`
	Seq    int    `json:"seq"`
	Hash   string `json:"hash"`
}

var (
	plainAnchor = regexp.MustCompile(`^(?:[^0-9:]+: )?([0-9]{1,18}):([0-9a-fA-F]{64})$`)
	textField   = regexp.MustCompile(`(msg|writer|seq|hash)=("[^"]*"|[^ ]*)`)
)

func anchorLine(line string) (audit.Mark, bool) {
	m := plainAnchor.FindStringSubmatch(line)
	if m == nil {
		return audit.Mark{}, false
	}
	seq, err1 := strconv.Atoi(m[1])
	hash, err2 := hex.DecodeString(m[2])
	return audit.Mark{Seq: seq, Hash: hash}, err1 == nil && err2 == nil
}

// addAnchor adds what a line says of the audit log, if it says anything.
func addAnchor(line string, into *audit.Anchor) {
	if m, ok := anchorLine(line); ok {
		into.Checkpoints = append(into.Checkpoints, m)
		return
	}
	var l logged
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &l) != nil {
		l = logged{}
		for _, f := range textField.FindAllStringSubmatch(line, -1) {
			value := strings.Trim(f[2], `"`)
			switch f[1] {
			case "msg":
				l.Msg = value
			case "writer":
				l.Writer = value
			case "seq":
				l.Seq, _ = strconv.Atoi(value)
			case "hash":
				l.Hash = value
			}
		}
	}
	hash, err := hex.DecodeString(l.Hash)
	if err != nil || len(hash) == 0 || l.Seq < 1 {
		return
	}
	switch l.Msg {
	case "audit checkpoint":
		into.Checkpoints = append(into.Checkpoints, audit.Mark{Seq: l.Seq, Hash: hash})
	case "audit":
		if writer, err := id.Parse(l.Writer); err == nil {
			into.Rows = append(into.Rows, audit.Head{Writer: writer, Seq: l.Seq, Hash: hash})
		}
	}
}
