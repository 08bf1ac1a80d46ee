package ctl

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"phonebill/cmd/internal/boot"
	"phonebill/core/fault"
)

// lang is the language that everything is said in.
type lang string

const (
	english lang = "en"
	hangul  lang = "ko"
)

// language is Korean where the first of LC_ALL, LC_MESSAGES and LANG that is set says so.
func language(env boot.Env) lang {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := env(name); v != "" {
			if strings.HasPrefix(strings.ToLower(v), "ko") {
				return hangul
			}
			return english
		}
	}
	return english
}

// text is what stands in the catalogue for an English text.
func (l lang) text(key string) string {
	if l == hangul {
		if t, ok := korean[key]; ok {
			return t
		}
	}
	return key
}

var quoted = regexp.MustCompile(`"[^"]+"`)

// example has what stands in quotes in the language: reasons and names.
func (l lang) example(text string) string {
	return quoted.ReplaceAllStringFunc(text, func(q string) string { return `"` + l.text(q[1:len(q)-1]) + `"` })
}

// message is an error of the command line itself. Its key is the English text.
type message struct {
	key  string
	args []any
}

// failf is an error whose text is in the catalogue; an error among args (%w) is its cause.
func failf(key string, args ...any) error { return &message{key, args} }

// Error is the English text.
func (m *message) Error() string { return english.said(m) }

// Unwrap returns the errors among the arguments.
func (m *message) Unwrap() (all []error) {
	for _, a := range m.args {
		if err, ok := a.(error); ok {
			all = append(all, err)
		}
	}
	return all
}

// said is a message in the language, with its causes.
func (l lang) said(m *message) string {
	args := make([]any, len(m.args))
	for i, a := range m.args {
		args[i] = a
		if err, ok := a.(error); ok {
			args[i] = l.failure(err)
		}
	}
	return fmt.Sprintf(strings.ReplaceAll(l.text(m.key), "%w", "%v"), args...)
}

// failure is an error in the language. What the system and the libraries say stays as it is.
func (l lang) failure(err error) string {
	switch e := err.(type) { //nolint:errorlint // each layer is looked at
	case *message:
		return l.said(e)
	case *fault.Error:
		return l.refusal(e)
	case interface{ Unwrap() []error }:
		var all []string
		for _, one := range e.Unwrap() {
			all = append(all, l.failure(one))
		}
		return strings.Join(all, "; ")
	}
	text := err.Error()
	if m := requiredFlags.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf(l.text("required: %s"), flagNames(m[1]))
	}
	if inner := errors.Unwrap(err); inner != nil {
		if before, ok := strings.CutSuffix(text, inner.Error()); ok {
			return before + l.failure(inner)
		}
	}
	return l.text(text)
}

// flagNames turns "reason", "outcome" into --reason, --outcome.
func flagNames(list string) string {
	names := strings.Split(list, ", ")
	for i, n := range names {
		names[i] = "--" + strings.Trim(n, `"`)
	}
	return strings.Join(names, ", ")
}

// refusal is the text of an error. In English it is the meaning of its code; the fields' reasons come from a table.
func (l lang) refusal(f *fault.Error) string {
	text := f.Message()
	if l == english {
		text = meaning(f)
	}
	for _, field := range f.Fields() {
		text += "; " + field.Name + ": " + l.reason(field.Reason)
	}
	text += " (" + string(f.Code())
	if why := f.Details()["reason"]; why != "" {
		text += ", " + why
	}
	text += ")"
	if cause := errors.Unwrap(f); cause != nil {
		if said := l.failure(cause); !strings.Contains(text, said) {
			text += ": " + said
		}
	}
	return text
}

func meaning(f *fault.Error) string {
	if t, ok := englishMessages[f.Message()]; ok {
		return t
	}
	if t, ok := englishFaults[f.Code()]; ok {
		return t
	}
	for _, e := range fault.Catalogue() {
		if e.Code == f.Code() {
			return e.Meaning
		}
	}
	return string(f.Code())
}

var choiceReason = regexp.MustCompile(`^([A-Za-z_, ]+?)(?: 중 하나여야 합니다| 중에서 선택해야 합니다)$`)

// reason is why a field is refused. A reason that the table does not know yet says only that the value is not valid.
func (l lang) reason(of string) string {
	if l == hangul {
		return of
	}
	if m := choiceReason.FindStringSubmatch(of); m != nil {
		return "it must be one of " + m[1]
	}
	if m := reasonLength.FindStringSubmatch(of); m != nil {
		return "it needs at least " + m[1] + " characters that are no spaces, and at most " + m[2] + " in all"
	}
	if t, ok := englishReasons[of]; ok {
		return t
	}
	if hasHangul(of) {
		return "it is not valid"
	}
	return of
}

var reasonLength = regexp.MustCompile(`^공백을 제외하고 ([0-9]+)자 이상, ([0-9]+)자 이내로 입력해야 합니다$`)

func hasHangul(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 0xAC00 && r <= 0xD7A3 || r >= 0x1100 && r <= 0x11FF })
}

// shownError is an error as the console shows it.
type shownError struct {
	text  string
	cause error
	usage bool
}

func (e *shownError) Error() string { return e.text }

// Unwrap returns the error itself.
func (e *shownError) Unwrap() error { return e.cause }

// Is makes a wrong command line known.
func (e *shownError) Is(target error) bool { return e.usage && target == ErrUsage }

// say writes a line to the console's error stream, where progress goes. Nothing can be done if that fails.
func (c Console) say(key string, args ...any) { _, _ = fmt.Fprintf(c.Err, c.lang.text(key), args...) }
