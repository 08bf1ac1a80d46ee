package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// statementLog counts the statements that PostgreSQL receives, from PostgreSQL's own log.
type statementLog struct {
	log  string
	from int64
}

// statements are counts by the name that a statement has in sql/.
type statements map[string]int

// logStatements makes the PostgreSQL server of a system log every statement.
func logStatements(ctx context.Context, s *running) (*statementLog, error) {
	u, err := url.Parse(s.Databases["bill"])
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	home := filepath.Join(s.dir, "postgres")
	password, err := os.ReadFile(filepath.Join(home, "password"))
	if err != nil {
		return nil, fmt.Errorf("bench: the server is not a private one in its usual place: %w", err)
	}
	u.User, u.Path = url.UserPassword("postgres", strings.TrimSpace(string(password))), "/postgres"
	db, err := pgx.Connect(ctx, u.String())
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = db.Close(ctx) }()
	for _, sql := range []string{
		"ALTER SYSTEM SET log_statement = 'all'", "ALTER SYSTEM SET log_line_prefix = '@@%d@'", "SELECT pg_reload_conf()",
	} {
		if _, err := db.Exec(ctx, sql); err != nil {
			return nil, fmt.Errorf("bench: %w", err)
		}
	}
	return &statementLog{log: filepath.Join(home, "postgres.log")}, nil
}

// entry is one statement as it is logged: prefix, how it came, and the text up to the next entry.
var (
	entry = regexp.MustCompile(`^@@([^@]*)@LOG:  (?:statement|execute [^:]*): (.*)$`)
	named = regexp.MustCompile(`^-- name: (\w+)`)
	asks  = regexp.MustCompile(`(?i)^\s*(select|table|show)\b`)
	alter = regexp.MustCompile(`(?i)\b(insert|update|delete)\b`)
)

// during counts the statements that are received while do runs.
func (w *statementLog) during(ctx context.Context, do func() error) (reads, writes statements, err error) {
	if w.from, err = w.size(ctx); err != nil {
		return nil, nil, err
	}
	if err = do(); err != nil {
		return nil, nil, err
	}
	if _, err = w.size(ctx); err != nil { // what is on its way is written
		return nil, nil, err
	}
	return w.count()
}

// size returns the length of the log when what was done before has been written.
func (w *statementLog) size(ctx context.Context) (int64, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(200 * time.Millisecond):
	}
	info, err := os.Stat(w.log)
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	return info.Size(), nil
}

func (w *statementLog) count() (reads, writes statements, err error) {
	file, err := os.Open(w.log)
	if err != nil {
		return nil, nil, fmt.Errorf("bench: %w", err)
	}
	defer func() { _ = file.Close() }()
	if _, err := file.Seek(w.from, io.SeekStart); err != nil {
		return nil, nil, fmt.Errorf("bench: %w", err)
	}
	reads, writes = statements{}, statements{}
	var text []string
	end := func() {
		if len(text) > 0 {
			add(reads, writes, text)
		}
		text = nil
	}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20) // the parameters of a big batch are one line
	for lines.Scan() {
		line := lines.Text()
		found := entry.FindStringSubmatch(line)
		switch {
		case found != nil:
			end()
			text = []string{found[1], found[2]}
		case strings.HasPrefix(line, "@@"):
			end()
		case len(text) > 0:
			text = append(text, line)
		}
	}
	end()
	return reads, writes, lines.Err()
}

// add counts a statement of a database under its name. What begins and ends transactions is neither a read nor a write.
func add(reads, writes statements, text []string) {
	database, body := text[0], text[1:]
	name := ""
	if found := named.FindStringSubmatch(body[0]); found != nil {
		name, body = found[1], body[1:]
	}
	all := strings.Join(body, "\n")
	if name == "" {
		name = strings.Join(strings.Fields(all), " ")
		name = name[:min(len(name), 40)]
	}
	name = strings.TrimPrefix(database, "phonebill_") + "." + name
	switch {
	case asks.MatchString(all),
		!alter.MatchString(all) && strings.HasPrefix(strings.ToLower(strings.TrimSpace(all)), "with"):
		reads[name]++
	case alter.MatchString(all):
		writes[name]++
	}
}

// beyond is how many came to those databases that an idle system does not send in such a share of the time that it was
// watched. Workers look in time with their own clocks, so of each statement twice its share is granted, and three more.
func (s statements) beyond(idle statements, share float64, databases ...string) (sum int) {
	for name, n := range s {
		if !slices.ContainsFunc(databases, func(d string) bool { return strings.HasPrefix(name, d) }) {
			continue
		}
		granted := 0
		if idle[name] > 0 {
			granted = int(2*share*float64(idle[name])) + 3 //nolint:mnd // as said above
		}
		sum += max(0, n-granted)
	}
	return sum
}

// summary lists the most frequent statements.
func (s statements) summary() string {
	names := slices.SortedFunc(
		maps.Keys(s),
		func(a, b string) int { return cmp.Or(cmp.Compare(s[b], s[a]), cmp.Compare(a, b)) },
	)
	var parts []string
	for _, name := range names[:min(len(names), 8)] {
		parts = append(parts, fmt.Sprintf("%s %d", name, s[name]))
	}
	return strings.Join(parts, ", ")
}
