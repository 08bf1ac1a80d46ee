// Package boot starts and stops a phonebill process: environment, logger, listeners, signals, workers, and closing in reverse.
package boot

import (
	"errors"
	"fmt"
	"net/netip"
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

// Err joins all mistakes; nil when there are none.
func (r *Reader) Err() error { return errors.Join(r.errs...) }

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
