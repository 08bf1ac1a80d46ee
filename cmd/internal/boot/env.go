// Package boot starts and stops a phonebill process: environment, logger, listeners, signals, workers, and closing in reverse.
package boot

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"phonebill/core/personal"
)

// Env looks an environment variable up; the empty string is "not set".
type Env func(key string) string

// Reader reads a configuration from an Env and collects everything that is wrong with it, so that one start names all mistakes.
type Reader struct {
	env  Env
	errs []error
}

// Read begins reading.
func (e Env) Read() *Reader { return &Reader{env: e} }

// Keys returns the names of the variables that a reader of a configuration looks up in this environment, in the order of their first
// use. A parent that starts a program gives it these and no more.
func (e Env) Keys(read func(Env) error) ([]string, error) {
	var keys []string
	err := read(func(key string) string {
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
		return e(key)
	})
	return keys, err
}

// Err joins all mistakes, each once; nil when there are none.
func (r *Reader) Err() error {
	seen := map[string]bool{}
	return errors.Join(slices.DeleteFunc(slices.Clone(r.errs), func(err error) bool {
		repeated := seen[err.Error()]
		seen[err.Error()] = true
		return repeated
	})...)
}

// Mistake adds what a parser of the variable found wrong with it; nil is nothing.
func (r *Reader) Mistake(key string, err error) {
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("%s: %w", key, err))
	}
}

// Environment names the variable that says where a program runs: "production" (the default) or "development", which `make run`, the
// tests and the benches set. Settings that weaken the security are mistakes outside development.
const Environment = "PHONEBILL_ENV"

const (
	production  = "production"
	development = "development"
)

// Development reports whether the program runs in development. Any other value than the two known is a mistake.
func (r *Reader) Development() bool {
	switch v := r.String(Environment, production); v {
	case development:
		return true
	case production:
	default:
		r.Mistake(Environment, fmt.Errorf("%q is neither %s nor %s", v, production, development))
	}
	return false
}

// Weakens adds a mistake when a setting is weak and the program does not run in development; why says what is weak about it.
func (r *Reader) Weakens(key string, weak bool, why string) {
	if !r.Development() && weak {
		r.Mistake(key, fmt.Errorf("%s; %s=%s alone allows that", why, Environment, development))
	}
}

// Guarded returns a secret that an attacker must not be able to guess: outside development it must be set and at least shortest
// characters long.
func (r *Reader) Guarded(key string, shortest int) personal.Secret {
	v := r.env(key)
	switch {
	case v == "":
		r.Weakens(key, true, "it is not set")
	case len(v) < shortest:
		r.Weakens(key, true, fmt.Sprintf("it is shorter than %d characters", shortest))
	case variety(v) < leastVariety:
		r.Weakens(key, true, fmt.Sprintf("it has fewer than %d different characters", leastVariety))
	}
	return personal.NewSecret(v)
}

// leastVariety is how many different characters a secret has at least: a random one of 32 hexadecimal digits has fewer once in 10^7.
const leastVariety = 8

func variety(s string) int {
	seen := map[rune]bool{}
	for _, c := range s {
		seen[c] = true
	}
	return len(seen)
}

// String answers the variable, or def.
func (r *Reader) String(key, def string) string {
	if v := r.env(key); v != "" {
		return v
	}
	return def
}

// Required answers the variable; not set is a mistake.
func (r *Reader) Required(key string) string {
	v := r.env(key)
	if v == "" {
		r.errs = append(r.errs, fmt.Errorf("%s is not set", key))
	}
	return v
}

// Secret is Required for what must not be printed.
func (r *Reader) Secret(key string) personal.Secret { return personal.NewSecret(r.Required(key)) }

// List answers the variable as a list separated by commas, or def.
func (r *Reader) List(key, def string) []string {
	return strings.FieldsFunc(r.String(key, def), func(c rune) bool { return c == ',' || c == ' ' })
}

// Prefixes answers the variable as a list of networks like 10.0.0.0/8, separated by commas, or def.
func (r *Reader) Prefixes(key, def string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range r.List(key, def) {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			r.errs = append(r.errs, fmt.Errorf("%s: %q is not a network like 10.0.0.0/8", key, s))
			continue
		}
		out = append(out, p)
	}
	return out
}

// Int answers the variable as a whole number within lo..hi, or def.
func (r *Reader) Int(key string, def, lo, hi int) int {
	v := r.env(key)
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < lo || n > hi {
		r.errs = append(r.errs, fmt.Errorf("%s=%q is not a whole number from %d to %d", key, v, lo, hi))
		return def
	}
	return n
}

// Duration answers the variable as a positive duration like 2.7s, or def.
func (r *Reader) Duration(key string, def time.Duration) time.Duration {
	v := r.env(key)
	if v == "" {
		return def
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		r.errs = append(r.errs, fmt.Errorf("%s=%q is not a positive duration like 3s or 500ms", key, v))
		return def
	}
	return d
}

// Parsed answers the variable, or def, as parse reads it.
func Parsed[T any](r *Reader, key, def string, parse func(string) (T, error)) T {
	s := r.String(key, def)
	v, err := parse(s)
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("%s=%q: %w", key, s, err))
	}
	return v
}
