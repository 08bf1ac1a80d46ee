package boot

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"phonebill/core/personal"
)

// Env looks an environment variable up; the empty string is "not set".
type Env func(key string) string

// With returns an environment in which the variables of first come before those of e, and those of last after them.
func (e Env) With(first, last map[string]string) Env {
	return func(key string) string {
		for _, v := range []string{first[key], e(key)} {
			if v != "" {
				return v
			}
		}
		return last[key]
	}
}

// Config is the environment of a program as a struct: the tag env names a field's variable, envDefault its default, and
// range its bounds ("2..200") if it is a number. The field's comment is its meaning in docs/configuration.md. Validate
// adds what is wrong with values that can be parsed.
type Config interface{ Validate(f *Faults) }

// Load reads a configuration. Its error names every fault, one a line. Beside text, lists, whole numbers, positive
// durations, delays, booleans, secrets and networks, fields have the types of the parsers. It is safe for concurrent
// use.
func Load[C any, P interface {
	*C
	Config
}](lookup Env, parsers ...Parser) (C, error) {
	var c C
	f := &Faults{}
	variables, set := Variables[C](), map[string]string{}
	for _, v := range variables {
		if value := lookup(v.Name); value != "" {
			set[v.Name] = value
		}
	}
	f.environment(lookup(Environment))
	reading := &reader{variables: variables}
	err := env.ParseWithOptions(&c, env.Options{
		Environment: set, OnSet: reading.begin, FuncMap: reading.parsers(parsers),
	})
	f.parsed(err)
	P(&c).Validate(f)
	return c, f.Err()
}

// Variable is one variable of a configuration.
type Variable struct {
	Name, Default string
	Required      bool
	low, high     int // bounds of a whole number; both 0 = none
}

// Variables returns the variables of a configuration in the order of its fields. A parent that starts a program gives
// it these and no more.
func Variables[C any]() []Variable { return variablesOf(reflect.TypeFor[C]()) }

func variablesOf(t reflect.Type) []Variable {
	var all []Variable
	for i := range t.NumField() {
		field := t.Field(i)
		tag, ok := field.Tag.Lookup("env")
		if !ok {
			if field.Type.Kind() == reflect.Struct && field.IsExported() {
				all = append(all, variablesOf(field.Type)...)
			}
			continue
		}
		name, option, _ := strings.Cut(tag, ",")
		v := Variable{Name: name, Default: field.Tag.Get("envDefault"), Required: option == "required"}
		if low, high, ok := strings.Cut(field.Tag.Get("range"), ".."); ok {
			v.low, _ = strconv.Atoi(low)
			v.high, _ = strconv.Atoi(high)
		}
		all = append(all, v)
	}
	return all
}

// Parser reads the values of one type.
type Parser struct {
	of    reflect.Type
	parse func(value string) (any, error)
}

// ParserOf returns the parser of a type. The errors of parse are prefixed with the variable and followed by its value:
// it is not for secrets.
func ParserOf[T any](parse func(string) (T, error)) Parser {
	return Parser{reflect.TypeFor[T](), func(value string) (any, error) {
		v, err := parse(value)
		if err != nil {
			err = fmt.Errorf("%w (%q)", err, value)
		}
		return v, err
	}}
}

// reader knows which variable is parsed now: a parser of the library is given the value alone.
type reader struct {
	variables []Variable
	now       Variable
	isDefault bool
}

// valueError is what is wrong with the value of a variable.
type valueError struct {
	key   string
	cause error
}

func (e *valueError) Error() string { return e.key + ": " + e.cause.Error() }
func (e *valueError) Unwrap() error { return e.cause }

func (r *reader) begin(key string, _ any, isDefault bool) {
	at := slices.IndexFunc(r.variables, func(v Variable) bool { return v.Name == key })
	r.now, r.isDefault = r.variables[at], isDefault
}

func (r *reader) parsers(more []Parser) map[reflect.Type]env.ParserFunc {
	all := map[reflect.Type]env.ParserFunc{}
	for _, p := range slices.Concat([]Parser{
		{reflect.TypeFor[int](), r.number}, {reflect.TypeFor[time.Duration](), r.duration},
		{reflect.TypeFor[Delay](), delay},
		{reflect.TypeFor[bool](), boolean}, {reflect.TypeFor[[]string](), list},
		{reflect.TypeFor[personal.Secret](), secret}, {reflect.TypeFor[[]netip.Prefix](), networks},
	}, more) {
		all[p.of] = func(value string) (any, error) {
			v, err := p.parse(value)
			if err != nil {
				err = &valueError{r.now.Name, err}
			}
			return v, err
		}
	}
	return all
}

func (r *reader) number(value string) (any, error) {
	n, err := strconv.Atoi(value)
	if bounded := r.now.low != r.now.high && !r.isDefault; err != nil || bounded && (n < r.now.low || n > r.now.high) {
		return 0, fmt.Errorf("%q is not a whole number from %d to %d", value, r.now.low, r.now.high)
	}
	return n, nil
}

func (r *reader) duration(value string) (any, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 && !r.isDefault {
		return time.Duration(0), fmt.Errorf("%q is not a positive duration like 3s or 500ms", value)
	}
	return d, nil
}

func delay(value string) (any, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return Delay(0), fmt.Errorf("%q is neither 0 nor a duration like 3s or 500ms", value)
	}
	return Delay(d), nil
}

func boolean(value string) (any, error) {
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", value)
	}
	return b, nil
}

// list reads values that are separated by commas or spaces.
func list(value string) (any, error) {
	return strings.FieldsFunc(value, func(c rune) bool { return c == ',' || c == ' ' }), nil
}

func secret(value string) (any, error) { return personal.NewSecret(value), nil }

func networks(value string) (any, error) {
	var all []netip.Prefix
	items, _ := list(value)
	for _, s := range items.([]string) {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return all, fmt.Errorf("%q is not a network like 10.0.0.0/8", s)
		}
		all = append(all, p)
	}
	return all, nil
}

// Faults collects everything that is wrong with a configuration, so that one start names all of it. A variable has one
// fault at most, the first that was found.
type Faults struct {
	keys        []string
	errs        []error
	development bool
}

// Add adds what is wrong with a variable; nil is nothing.
func (f *Faults) Add(key string, err error) {
	if err != nil {
		f.add(key, fmt.Errorf("%s: %w", key, err))
	}
}

func (f *Faults) add(key string, err error) {
	if !slices.Contains(f.keys, key) {
		f.keys, f.errs = append(f.keys, key), append(f.errs, err)
	}
}

// Require adds a fault when a variable is not set.
func (f *Faults) Require(key string, set bool) {
	if !set {
		f.add(key, fmt.Errorf("%s is not set", key))
	}
}

// Environment names the variable that says where a program runs: "production" (the default) or "development", which
// `make run`, the tests and the benches set. Settings that weaken the security are faults outside development.
const Environment = "PHONEBILL_ENV"

const (
	production  = "production"
	development = "development"
)

func (f *Faults) environment(value string) {
	switch value {
	case development:
		f.development = true
	case "", production:
	default:
		f.Add(Environment, fmt.Errorf("%q is neither %s nor %s", value, production, development))
	}
}

// Development reports whether the program runs in development.
func (f *Faults) Development() bool { return f.development }

// Weakens adds a fault when a setting is weak and the program does not run in development; why says what is weak.
func (f *Faults) Weakens(key string, weak bool, why string) {
	if weak && !f.development {
		f.Add(key, fmt.Errorf("%s; %s=%s alone allows that", why, Environment, development))
	}
}

// ShortestSecret is how long what an attacker must not guess is at least: 32 characters hold 128 random bits even in
// hexadecimal.
const ShortestSecret = 32

// minVariety is how many different characters a secret has at least: a random one of 32 hexadecimal digits has fewer
// once in 10^7.
const minVariety = 8

// Guard adds a fault when an attacker could guess a secret outside development: it is not set, short or uniform.
func (f *Faults) Guard(key string, s personal.Secret) {
	switch v := s.Reveal(); {
	case v == "":
		f.Weakens(key, true, "it is not set")
	case len(v) < ShortestSecret:
		f.Weakens(key, true, fmt.Sprintf("it is shorter than %d characters", ShortestSecret))
	case variety(v) < minVariety:
		f.Weakens(key, true, fmt.Sprintf("it has fewer than %d different characters", minVariety))
	}
}

func variety(s string) int {
	seen := map[rune]bool{}
	for _, c := range s {
		seen[c] = true
	}
	return len(seen)
}

// parsed adds what the library found.
func (f *Faults) parsed(err error) {
	var all env.AggregateError
	if err != nil && !errors.As(err, &all) {
		f.Add("environment", err)
	}
	for _, err := range all.Errors {
		var missing env.VarIsNotSetError
		var value *valueError
		switch parse := (env.ParseError{}); {
		case errors.As(err, &missing):
			f.Require(missing.Key, false)
		case errors.As(err, &parse) && errors.As(parse.Err, &value):
			f.add(value.key, value)
		default:
			f.Add("environment", err)
		}
	}
}

// Err joins all faults; nil when there are none.
func (f *Faults) Err() error { return errors.Join(f.errs...) }

// JoinFaults joins the faults of several configurations, each once.
func JoinFaults(errs ...error) error {
	var all []error
	seen := map[string]bool{}
	for _, err := range errs {
		parts := []error{err}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			parts = joined.Unwrap()
		}
		for _, part := range parts {
			if part != nil && !seen[part.Error()] {
				seen[part.Error()] = true
				all = append(all, part)
			}
		}
	}
	return errors.Join(all...)
}
