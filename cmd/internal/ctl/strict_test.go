package ctl

import (
	"bytes"
	"context"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
	"phonebill/core/fault"
)

// typed runs a command line on a console without any system.
func typed(t *testing.T, locale string, args ...string) (string, error) {
	t.Helper()
	env := map[string]string{"PHONEBILL_DATA": t.TempDir(), "LANG": locale}
	var out bytes.Buffer
	c := Console{
		Env: func(key string) string { return env[key] }, In: strings.NewReader(""), Out: &out, Err: &out,
		Log: slog.New(slog.DiscardHandler),
	}
	err := Run(context.Background(), c, args)
	return out.String(), err
}

// enumeration is how a text would name words to choose from: such a flag has to be a choice.
var enumeration = regexp.MustCompile(`[A-Z][A-Z_]+(, [A-Z][A-Z_]+)* (or|and) [A-Z][A-Z_]+`)

// TestEveryCommandRefusesWhatItDoesNotKnow walks the whole tree, new commands included.
func TestEveryCommandRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	seen := 0
	known := arguments()
	walk(Console{lang: english, Env: func(string) string { return "" }}.tree(func() {}), func(cmd *cobra.Command) {
		seen++
		path := strings.Fields(cmd.CommandPath())[1:]
		refused := func(what, has string, args ...string) {
			out, err := typed(t, "", append(append([]string{}, path...), args...)...)
			require.ErrorIs(t, err, ErrUsage, "%s: %s\n%s", cmd.CommandPath(), what, out)
			require.ErrorContains(t, err, has, "%s: %s", cmd.CommandPath(), what)
			require.False(t, hasHangul(err.Error()), err)
		}
		names := argumentNames(cmd)
		for _, n := range names {
			require.Contains(t, known, n, "%s: say what the argument may be", cmd.CommandPath())
		}
		refused("surplus", "xyzzy", append(append([]string{}, names...), "xyzzy")...)
		for i := range names {
			refused("missing", names[i]+" is missing", names[:i]...)
		}
		refused("unknown flag", "no flag --xyzzy", "--xyzzy")
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			require.NotRegexp(t, enumeration, f.Usage, "--%s of %s has words to choose from: make it a choice", f.Name,
				cmd.CommandPath())
			if c, ok := f.Value.(*choice); ok {
				refused("--"+f.Name, "there are "+strings.Join(c.words, ", "),
					append(append([]string{}, names...), "--"+f.Name, "xyzzy")...)
				near := c.words[0][:len(c.words[0])-1]
				refused("--"+f.Name, "did you mean "+c.words[0]+"?", append(append([]string{}, names...), "--"+f.Name, near)...)
			}
		})
		for _, sub := range cmd.Commands() {
			name := sub.Name()
			refused("misspelled command", `did you mean "`+name+`"`,
				append(append([]string{}, names...), name[:len(name)-1]+"qq"[:1])...)
		}
	})
	require.Greater(t, seen, 40)
}

func TestTyposEndWithANearMatch(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`"FOO" is unknown; there are PENDING, DELIVERED, PARKED`:             {"deliveries", "list", "--state", "FOO"},
		`--kind: "bogus" is unknown; there are bill, change`:                 {"deliveries", "list", "--kind", "bogus"},
		`phonebillctl sessions has no command "revoke"; did you mean "end"?`: {"sessions", "revoke", "hong"},
		`phonebillctl users has no command "creat"; did you mean "create"?`:  {"users", "creat", "hong"},
		`did you mean BILL_INQUIRY?`: {"grant", "hong", "BILL_INQUERY",
			"--reason", "두자"},
		`phonebillctl has no command "user"; did you mean "users"?`: {"user"},
		`"admn" is unknown; did you mean admin?`:                    {"otp", "admn"},
		`--page: "x" is no whole number`:                            {"users", "list", "--page", "x"},
		`--since: "yesterday" is no duration`: {"deliveries", "list",
			"--since", "yesterday"},
		`required: --reason`:     {"grant", "hong", "BILL_INQUIRY"},
		`--reason needs a value`: {"revoke", "hong", "BILL_INQUIRY", "--reason"},
		`did you mean --reason?`: {"revoke", "hong", "BILL_INQUIRY", "--reson", "x"},
		`phonebillctl parked has no command "resolv"; did you mean "resolve"?`: {"parked", "resolv"},
		`"surplus" is one argument too many: phonebillctl reconciliation show`: {"reconciliation", "show", "surplus"},
		`phonebillctl completion has no command "basch"; did you mean "bash"?`: {"completion", "basch"},
		`REQUEST_ID: it must be a UUID`:                                        {"timeline", "x"},
	} {
		_, err := typed(t, "en_US.UTF-8", args...)
		require.ErrorIs(t, err, ErrUsage, args)
		require.ErrorContains(t, err, want, args)
	}
	_, err := typed(t, "", "ops", "cache")
	require.Error(t, err)
	require.NotErrorIs(t, err, ErrUsage, "the command line was right")
}

func TestTheConsoleSpeaksOneLanguage(t *testing.T) {
	t.Parallel()
	walk(Console{lang: english, Env: func(string) string { return "" }}.tree(func() {}), func(cmd *cobra.Command) {
		path := append(strings.Fields(cmd.CommandPath())[1:], "--help")
		out, err := typed(t, "en_US.UTF-8", path...)
		require.NoError(t, err)
		require.False(t, hasHangul(out), out)
		out, err = typed(t, "ko_KR.UTF-8", path...)
		require.NoError(t, err)
		require.Contains(t, out, "사용법:")
		for _, word := range []string{"Usage:", "Flags:", "Examples:", "show this help"} {
			require.NotContains(t, out, word)
		}
	})
	for locale, want := range map[string]string{
		"ko_KR.UTF-8": `phonebillctl sessions에 "revoke" 명령이 없습니다. "end"을(를) 뜻하셨습니까? 가능한 명령: end, list`,
		"C":           `phonebillctl sessions has no command "revoke"; did you mean "end"? There are end, list`,
	} {
		_, err := typed(t, locale, "sessions", "revoke", "hong")
		require.EqualError(t, err, want)
	}
	env := map[string]string{"LANG": "ko_KR.UTF-8"}
	get := func(key string) string { return env[key] }
	require.Equal(t, hangul, language(get))
	env["LC_ALL"] = "C"
	require.Equal(t, english, language(get), "LC_ALL comes first")
}

// TestNoFaultIsKoreanInEnglish: what rules of the system say is shown by its code, whatever its Korean text.
func TestNoFaultIsKoreanInEnglish(t *testing.T) {
	t.Parallel()
	for _, e := range fault.Catalogue() {
		said := english.failure(fault.New(e.Code).WithMessage("알 수 없는 문장").WithField("reason", "처음 보는 이유"))
		require.False(t, hasHangul(said), said)
		require.Contains(t, said, string(e.Code))
		require.Contains(t, said, "reason: it is not valid")
		require.Contains(t, hangul.failure(fault.New(e.Code)), e.Message)
	}
	_, err := auth.ParseReason("가")
	require.Contains(t, english.failure(err),
		"reason: it needs at least 2 characters that are no spaces, and at most 200 in all")
	_, err = auth.ParseRole("BOSS")
	require.Contains(t, english.failure(err), "it must be one of CUSTOMER, OPERATOR, ADMIN")
	for _, text := range []map[string]string{englishReasons, englishMessages} {
		for key, value := range text {
			require.True(t, hasHangul(key))
			require.False(t, hasHangul(value))
		}
	}
}

// TestLongCommandsForetellTheirEnd by the share that is done, not more often than asked for.
func TestLongCommandsForetellTheirEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		c := Console{Err: &out, lang: english}
		show := c.verifying()
		show(1, 100)
		require.Empty(t, out.String(), "not at once")
		<-time.After(10 * time.Second)
		show(25, 100)
		show(26, 100)
		require.Equal(t, "25 of 100 rows checked, about 30s left\n", out.String())
		require.Equal(t, "?", c.meter(time.Second).left(0))
	})
}
