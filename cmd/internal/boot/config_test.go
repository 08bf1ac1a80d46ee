package boot_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/cmd/internal/boot"
	"phonebill/core/personal"
)

type inner struct {
	Secret   personal.Secret `env:"SECRET,required"`
	Required string          `env:"MISSING,required"`
}

type even int

func parseEven(s string) (even, error) {
	if s != "2" {
		return 0, errors.New("want an even number")
	}
	return 2, nil
}

type config struct {
	N        int            `env:"N" envDefault:"1" range:"1..7"`
	Unset    int            `env:"UNSET" envDefault:"-1" range:"0..9"`
	D        time.Duration  `env:"D" envDefault:"1s"`
	None     time.Duration  `env:"NONE" envDefault:"0"`
	Delay    boot.Delay     `env:"DELAY" envDefault:"10s"`
	S        string         `env:"S" envDefault:"def"`
	Yes      bool           `env:"YES" envDefault:"false"`
	List     []string       `env:"LIST" envDefault:"a, b"`
	Networks []netip.Prefix `env:"NETWORKS" envDefault:"127.0.0.0/8"`
	Even     even           `env:"EVEN" envDefault:"2"`
	Inner    inner
	Process  boot.Process
}

func (c config) Validate(f *boot.Faults) {
	f.Guard("SECRET", c.Inner.Secret)
	f.Weakens("S", c.S == "weak", "it is weak")
	f.Weakens("N", c.N < 3, "too few")
	c.Process.Validate(f)
}

func load(vars map[string]string) (config, error) {
	return boot.Load[config](func(key string) string { return vars[key] }, boot.ParserOf(parseEven))
}

const good = "0123456789abcdef0123456789abcdef"

func TestAConfigurationIsReadFromTheEnvironment(t *testing.T) {
	t.Parallel()
	c, err := load(map[string]string{
		"N": "7", "D": "2.7s", "S": "text", "YES": "true", "LIST": "x,y z", "NETWORKS": "10.0.0.0/8, ::1/128", "SECRET": good,
		"MISSING": "here",
	})
	require.NoError(t, err)
	require.Equal(t, 7, c.N)
	require.Equal(t, 2700*time.Millisecond, c.D)
	require.Equal(t, boot.Delay(10*time.Second), c.Delay)
	require.Equal(t, "text", c.S)
	require.True(t, c.Yes)
	require.Equal(t, []string{"x", "y", "z"}, c.List)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}, c.Networks)
	require.Equal(t, good, c.Inner.Secret.Reveal())
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", c, c, c), good, "secrets do not print")

	c, err = load(map[string]string{"PHONEBILL_ENV": "development", "SECRET": "s", "MISSING": "here", "N": ""})
	require.NoError(t, err)
	require.Equal(t, 1, c.N, "the empty string is not set")
	require.Equal(t, -1, c.Unset, "a default need not be within the bounds")
	require.Zero(t, c.None)
	require.Equal(t, []string{"a", "b"}, c.List)
	require.Equal(t, even(2), c.Even)
}

func TestOneStartNamesAllFaults(t *testing.T) {
	t.Parallel()
	_, err := load(map[string]string{
		"N": "8", "UNSET": "-1", "D": "3", "NONE": "-1s", "DELAY": "-1s", "YES": "maybe",
		"NETWORKS": "10.0.0.0/8,10.0.0.1", "EVEN": "3", "SECRET": "short", "S": "weak",
		"LOG_LEVEL": "loud", "LOG_FORMAT": "xml", "PHONEBILL_ENV": "develop",
	})
	require.Equal(t, []string{
		`PHONEBILL_ENV: "develop" is neither production nor development`,
		`N: "8" is not a whole number from 1 to 7`,
		`UNSET: "-1" is not a whole number from 0 to 9`,
		`D: "3" is not a positive duration like 3s or 500ms`,
		`NONE: "-1s" is not a positive duration like 3s or 500ms`,
		`DELAY: "-1s" is neither 0 nor a duration like 3s or 500ms`,
		`YES: "maybe" is neither true nor false`,
		`NETWORKS: "10.0.0.1" is not a network like 10.0.0.0/8`,
		`EVEN: want an even number ("3")`,
		`MISSING is not set`,
		`SECRET: it is shorter than 32 characters; PHONEBILL_ENV=development alone allows that`,
		`S: it is weak; PHONEBILL_ENV=development alone allows that`,
		`LOG_LEVEL: "loud" is neither debug, info, warn nor error`,
		`LOG_FORMAT: "xml" is neither json nor text`,
	}, strings.Split(err.Error(), "\n"), "one fault a variable")
	for value, why := range map[string]string{
		"": "SECRET is not set", strings.Repeat("ab", 16): "fewer than 8 different", good[1:]: "shorter than 32",
	} {
		_, err := load(map[string]string{"SECRET": value, "MISSING": "here", "N": "3"})
		require.ErrorContains(t, err, why)
	}
}

func TestVariablesAreInTheOrderOfTheFields(t *testing.T) {
	t.Parallel()
	var names []string
	for _, v := range boot.Variables[config]() {
		names = append(names, v.Name)
	}
	require.Equal(t, []string{
		"N", "UNSET", "D", "NONE", "DELAY", "S", "YES", "LIST", "NETWORKS", "EVEN", "SECRET", "MISSING", "PHONEBILL_ENV",
		"LOG_LEVEL", "LOG_FORMAT", "CPU_PROFILE", "GOGC",
	}, names)
}

func TestAnEnvironmentInLayers(t *testing.T) {
	t.Parallel()
	env := boot.Env(func(key string) string { return map[string]string{"A": "ours", "B": "ours"}[key] })
	env = env.With(map[string]string{"A": "given"}, map[string]string{"B": "usual", "C": "usual"})
	require.Equal(t, []string{"given", "ours", "usual", ""}, []string{env("A"), env("B"), env("C"), env("D")})
}

// TestWhatKubernetesInjectsIsNoFault: none of its names is one of ours.
func TestWhatKubernetesInjectsIsNoFault(t *testing.T) {
	t.Parallel()
	for _, name := range boot.KnownNames() {
		require.False(t, strings.HasSuffix(name, "_PORT") || strings.Contains(name, "_SERVICE_") ||
			strings.Contains(name, "_PORT_"), name)
	}
}

func TestFaultsAreJoinedOnce(t *testing.T) {
	t.Parallel()
	a, b := errors.New("a"), errors.New("b")
	require.NoError(t, boot.JoinFaults(nil, nil))
	require.EqualError(t, boot.JoinFaults(errors.Join(a, b), nil, b, errors.Join(a)), "a\nb")
}
