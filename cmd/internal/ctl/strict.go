package ctl

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
)

// ErrUsage says that the command line was wrong, so nothing was begun: exit code 2.
var ErrUsage = errors.New("wrong command line")

// strictly makes every command of the tree refuse what it does not know, before its work begins, and speak one
// language. It is called once for the whole tree, so that a new command needs nothing of its own. began is called when
// a command's work begins.
func strictly(cmd *cobra.Command, l lang, began func()) {
	cmd.Short, cmd.Long, cmd.Example = l.text(cmd.Short), l.text(cmd.Long), l.example(cmd.Example)
	cmd.Flags().BoolP("help", "h", false, "show this help")
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		f.Usage = l.text(f.Usage)
		if c, ok := f.Value.(*choice); ok {
			f.Usage += " (" + strings.Join(c.words, ", ") + ")"
		}
	})
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return flagError(cmd, err) })
	if names := argumentNames(cmd); cmd.Args == nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return checkArguments(cmd, names, args) }
	}
	if work := cmd.RunE; work != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			began()
			return work(cmd, args)
		}
	} else if cmd.Run == nil { // a group: alone it shows what there is
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	for _, sub := range cmd.Commands() {
		strictly(sub, l, began)
	}
}

// argumentNames are the words after the command's name in its Use.
func argumentNames(cmd *cobra.Command) []string { return strings.Fields(cmd.Use)[1:] }

// arguments has a check for each argument that is not any text.
func arguments() map[string]func(string) error {
	return map[string]func(string) error{
		"PERMISSION":     among("PERMISSION", auth.AllPermissions()...),
		"TIER":           among("TIER", auth.AllTiers()...),
		"operator|admin": among("operator|admin", "operator", "admin"),
		"REQUEST_ID":     uuid("REQUEST_ID"), "EVENT_ID": uuid("EVENT_ID"), "TRANSFER_ID": uuid("TRANSFER_ID"),
		"USER_ID": nil, "KID": nil, "SERVICE": nil, "KEY": nil, "FILE.csv": nil, "TRACE_ID": nil,
	}
}

func uuid(name string) func(string) error {
	return func(s string) error {
		if _, err := id.Parse(s); err != nil {
			return fault.InvalidField(name, "올바른 UUID 형식이어야 합니다")
		}
		return nil
	}
}

func among[T ~string](name string, words ...T) func(string) error {
	c := oneOf(new(T), words...)
	return func(s string) error {
		if err := c.Set(s); err != nil {
			return failf("%s: %w", name, err)
		}
		return nil
	}
}

func checkArguments(cmd *cobra.Command, names, args []string) error {
	switch {
	case len(args) > len(names) && cmd.HasAvailableSubCommands():
		return unknownCommand(cmd, args[len(names)])
	case len(args) > len(names):
		return failf("%q is one argument too many: %s", args[len(names)], cmd.UseLine())
	case len(args) < len(names):
		return failf("%s is missing: %s", names[len(args)], cmd.UseLine())
	}
	known := arguments()
	for i, name := range names {
		if check := known[name]; check != nil {
			if err := check(args[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func unknownCommand(cmd *cobra.Command, word string) error {
	var names, all []string
	meant := map[string]string{}
	for _, sub := range cmd.Commands() {
		if sub.Hidden {
			continue
		}
		all = append(all, sub.Name())
		for _, s := range append([]string{sub.Name()}, sub.SuggestFor...) {
			names, meant[s] = append(names, s), sub.Name()
		}
	}
	if near, ok := nearest(word, names); ok {
		return failf("%s has no command %q; did you mean %q? There are %s", cmd.CommandPath(), word, meant[near],
			strings.Join(all, ", "))
	}
	return failf("%s has no command %q; there are %s", cmd.CommandPath(), word, strings.Join(all, ", "))
}

var requiredFlags = regexp.MustCompile(`^required flag\(s\) (.*) not set$`)

// flagError says what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near, ok := nearest(unknown.GetSpecifiedName(), names); ok {
			return failf("%s has no flag --%s; did you mean --%s?", cmd.CommandPath(), unknown.GetSpecifiedName(), near)
		}
		return failf("%s has no flag --%s; see --help", cmd.CommandPath(), unknown.GetSpecifiedName())
	case errors.As(err, &missing):
		return failf("--%s needs a value", missing.GetSpecifiedName())
	case errors.As(err, &invalid):
		return flagValue(invalid)
	default:
		return err
	}
}

func flagValue(err *pflag.InvalidValueError) error {
	f := err.GetFlag()
	switch f.Value.Type() {
	case "int":
		return failf("--%s: %q is no whole number", f.Name, err.GetValue())
	case "duration":
		return failf("--%s: %q is no duration like 24h or 30m", f.Name, err.GetValue())
	case "bool":
		return failf("--%s: %q is neither true nor false", f.Name, err.GetValue())
	}
	var m *message
	if errors.As(err, &m) {
		return failf("--%s: %w", f.Name, m)
	}
	return err
}

// choice is the value of a flag that takes one of a few words in any case, or several when the flag is repeated.
type choice struct {
	words []string
	set   func(word string)
	get   func() string
}

var _ pflag.Value = (*choice)(nil)

// oneOf is a flag of one word; what `to` holds is the default.
func oneOf[T ~string](to *T, words ...T) *choice {
	return &choice{texts(words), func(w string) { *to = T(w) }, func() string { return string(*to) }}
}

// anyOf is a flag that can be repeated; the first word given replaces the default.
func anyOf[T ~string](to *[]T, words ...T) *choice {
	given := false
	return &choice{texts(words), func(w string) {
		if !given {
			given, *to = true, nil
		}
		*to = append(*to, T(w))
	}, func() string { return strings.Join(texts(*to), ",") }}
}

func texts[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, w := range all {
		out[i] = string(w)
	}
	return out
}

// String implements pflag.Value.
func (c *choice) String() string {
	if c.get == nil { // pflag asks an empty one
		return ""
	}
	return c.get()
}

// Type implements pflag.Value.
func (c *choice) Type() string { return "word" }

// Set implements pflag.Value.
func (c *choice) Set(s string) error {
	for _, w := range c.words {
		if strings.EqualFold(w, s) {
			c.set(w)
			return nil
		}
	}
	if near, ok := nearest(s, c.words); ok {
		return failf("%q is unknown; did you mean %s? There are %s", s, near, strings.Join(c.words, ", "))
	}
	return failf("%q is unknown; there are %s", s, strings.Join(c.words, ", "))
}

// nearest is the known word that was probably meant: one that begins like it, or differs from it in a third of its
// letters at most (two in short words).
func nearest(word string, known []string) (string, bool) {
	word = strings.ToLower(word)
	best, found := max(2, len(word)/3)+1, "" //nolint:mnd // two slips
	for _, k := range slices.Sorted(slices.Values(known)) {
		low := strings.ToLower(k)
		d := distance(word, low)
		if len(word) > 1 && strings.HasPrefix(low, word) || len(low) > 1 && strings.HasPrefix(word, low) {
			d = min(d, 1)
		}
		if d < best && d < max(len(word), len(low)) {
			best, found = d, k
		}
	}
	return found, found != ""
}

// distance is Levenshtein's: letters to change, add or leave out.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = row[j+1]
			row[j+1] = min(cost, before+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// meter says now and then how far a long command is, and how long the rest takes at the pace so far.
type meter struct {
	c           Console
	began, said time.Time
	every       time.Duration
}

func (c Console) meter(every time.Duration) *meter {
	now := time.Now()
	return &meter{c: c, began: now, said: now, every: every}
}

// due returns whether it is time to say something.
func (m *meter) due() bool {
	now := time.Now()
	if now.Sub(m.said) < m.every {
		return false
	}
	m.said = now
	return true
}

// left is how long the rest takes when the share of the work is done, as text.
func (m *meter) left(share float64) string {
	if share <= 0 {
		return "?"
	}
	rest := time.Duration(float64(time.Since(m.began)) * max(1-share, 0) / share)
	return rest.Round(time.Second).String()
}
