package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"golang.org/x/text/unicode/norm"

	"phonebill/core/fault"
	"phonebill/core/id"
)

// maxDepth is how deep objects and arrays may nest; the deepest body of the API has two levels.
const maxDepth = 16

const (
	reasonRequired = "필수 항목입니다"
	reasonUnknown  = "알 수 없는 항목입니다"
	reasonBadText  = "사용할 수 없는 문자가 있습니다"
	reasonBadJSON  = "올바른 JSON 형식이 아닙니다"
)

// checkBody reads the body, checks it, and makes it readable again for the handler. It fails with BodyFault when the
// body cannot be read; what is wrong with its content is added to found.
func (o *operation) checkBody(r *http.Request, found *findings) error {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return BodyFault(err)
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	if len(data) == 0 {
		if o.bodyRequired {
			found.add("body", "요청 본문이 필요합니다")
		}
		return nil
	}
	if !isJSON(r.Header.Values("Content-Type")) {
		found.add("Content-Type", "application/json이어야 합니다")
		return nil
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		found.add("Content-Encoding", "압축되지 않은 본문만 보낼 수 있습니다")
		return nil
	}
	value, field, reason := parse(data)
	if reason != "" {
		found.add(field, reason)
		return nil
	}
	found.schema("", asTyped(value, func(v any) error { return o.body.VisitJSON(v, visitBody...) }))
	return nil
}

// asTyped returns nil when the value is right as it was sent, or would be in Unicode's NFC: a text may be as long as it
// looks, however a device encodes it. The core counts in NFC alone.
func asTyped(value any, check func(any) error) error {
	err := check(value)
	if err == nil {
		return nil
	}
	if composed, changed := nfc(value); changed && check(composed) == nil {
		return nil
	}
	return err
}

// nfc returns the value with all its texts in NFC, and whether one of them changed.
func nfc(value any) (composed any, changed bool) {
	switch v := value.(type) {
	case string:
		composed := norm.NFC.String(v)
		return composed, composed != v
	case []any:
		out := make([]any, len(v))
		for i := range v {
			var c bool
			out[i], c = nfc(v[i])
			changed = changed || c
		}
		return out, changed
	case map[string]any:
		out := make(map[string]any, len(v))
		for key := range v {
			var c bool
			out[key], c = nfc(v[key])
			changed = changed || c
		}
		return out, changed
	default:
		return value, false
	}
}

// BodyFault returns the error for a client whose request body could not be read: PAYLOAD_TOO_LARGE, REQUEST_TIMEOUT, or
// VALIDATION_ERROR when it ends early or is malformed.
func BodyFault(err error) error {
	var tooLarge *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &tooLarge):
		return fault.New(fault.PayloadTooLarge).Because(err)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return fault.New(fault.RequestTimeout).Because(err)
	}
	return fault.InvalidField("body", "요청 본문을 읽을 수 없습니다").Because(err)
}

// isJSON reports whether the one Content-Type is application/json in UTF-8.
func isJSON(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	media, params, err := mime.ParseMediaType(contentType[0])
	if err != nil || media != "application/json" {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

// parse reads exactly one JSON value, more strictly than encoding/json: UTF-8 only, no NUL, no duplicate key, a limited
// depth, nothing after it. reason is empty when the value is right; else field names the place.
func parse(data []byte) (value any, field, reason string) {
	if !utf8.Valid(data) {
		return nil, "body", "UTF-8이 아닌 문자가 있습니다"
	}
	p := &parser{dec: json.NewDecoder(bytes.NewReader(data))}
	p.dec.UseNumber()
	value, ok := p.value(nil)
	if !ok {
		return nil, p.field, p.reason
	}
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, "body", reasonBadJSON
	}
	return value, "", ""
}

type parser struct {
	dec           *json.Decoder
	field, reason string
}

func (p *parser) refuse(at []string, reason string) (any, bool) {
	p.field, p.reason = dotted(at), reason
	return nil, false
}

func (p *parser) value(at []string) (any, bool) {
	if len(at) > maxDepth {
		return p.refuse(nil, "너무 깊게 중첩되어 있습니다")
	}
	token, err := p.dec.Token()
	if err != nil {
		return p.refuse(nil, reasonBadJSON)
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return p.object(at)
		}
		return p.array(at)
	case string:
		if strings.ContainsRune(t, 0) {
			return p.refuse(at, reasonBadText)
		}
		return counted(t), true
	default:
		return t, true
	}
}

// counted returns a text for checking lengths, not for passing on: kin-openapi counts UTF-16 units, the specification
// counts characters (RFC 8259), so a character of two units becomes U+FFFD, which has one.
func counted(s string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xffff {
			return utf8.RuneError
		}
		return r
	}, s)
}

func (p *parser) object(at []string) (any, bool) {
	out := map[string]any{}
	for p.dec.More() {
		token, err := p.dec.Token()
		key, isString := token.(string)
		if err != nil || !isString {
			return p.refuse(nil, reasonBadJSON)
		}
		here := append(at[:len(at):len(at)], key)
		if _, twice := out[key]; twice {
			return p.refuse(here, "같은 항목이 두 번 있습니다")
		}
		value, ok := p.value(here)
		if !ok {
			return nil, false
		}
		out[key] = value
	}
	return p.end(out)
}

func (p *parser) array(at []string) (any, bool) {
	out := []any{}
	for p.dec.More() {
		value, ok := p.value(append(at[:len(at):len(at)], strconv.Itoa(len(out))))
		if !ok {
			return nil, false
		}
		out = append(out, value)
	}
	return p.end(out)
}

func (p *parser) end(value any) (any, bool) {
	if _, err := p.dec.Token(); err != nil {
		return p.refuse(nil, reasonBadJSON)
	}
	return value, true
}

// dotted names a place in the body: items.0.name; the body itself is "body". A name that the client chose is cut to a
// length that is fit to be sent back.
func dotted(at []string) string {
	if len(at) == 0 {
		return "body"
	}
	name := []rune(strings.ToValidUTF8(strings.ReplaceAll(strings.Join(at, "."), "\x00", ""), ""))
	if len(name) > 64 {
		name = append(name[:64], '…')
	}
	if len(name) == 0 {
		return "body"
	}
	return string(name)
}

// visit are the options for checking a value against a schema: report all errors, check formats.
var visit = []openapi3.SchemaValidationOption{
	openapi3.MultiErrors(),
	openapi3.EnableFormatValidation(),
	openapi3.WithStringFormatValidator("date", openapi3.NewCallbackValidator(func(s string) error {
		_, err := time.Parse(time.DateOnly, s)
		return err //nolint:wrapcheck // only its presence counts
	})),
	openapi3.WithStringFormatValidator("uuid", openapi3.NewCallbackValidator(func(s string) error {
		_, err := id.Parse(s)
		return err //nolint:wrapcheck // only its presence counts
	})),
}

var visitBody = append([]openapi3.SchemaValidationOption{openapi3.VisitAsRequest()}, visit...)

// schema adds what a schema check found. at names the parameter; it is empty for the body.
func (f *findings) schema(at string, err error) {
	if err == nil {
		return
	}
	if many := (openapi3.MultiError)(nil); errors.As(err, &many) {
		for _, one := range many {
			f.schema(at, one)
		}
		return
	}
	name := at
	one := (*openapi3.SchemaError)(nil)
	if !errors.As(err, &one) {
		if name == "" {
			name = "body"
		}
		f.add(name, "형식이 올바르지 않습니다")
		return
	}
	if object, ok := one.Value.(map[string]any); ok && one.SchemaField == "properties" {
		f.unknown(one, object)
		return
	}
	if name == "" {
		name = dotted(one.JSONPointer())
	}
	f.add(name, reason(one))
}

// unknown adds the keys of object that its schema does not have; the schema's error names the object only.
func (f *findings) unknown(e *openapi3.SchemaError, object map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if _, known := e.Schema.Properties[key]; !known {
			f.add(dotted(append(e.JSONPointer(), key)), reasonUnknown)
		}
	}
}

// reason returns in Korean what a schema asks for, never the validator's own text, which quotes schemas and values. A
// schema can state its own reason in x-reason.
func reason(e *openapi3.SchemaError) string {
	switch e.SchemaField {
	case "required":
		return reasonRequired
	case "type", "nullable":
		return typeReason(e.Schema)
	}
	if own, ok := e.Schema.Extensions["x-reason"].(string); ok {
		return own
	}
	switch e.SchemaField {
	case "enum":
		return oneOf(e.Schema.Enum)
	case "minLength":
		return fmt.Sprintf("%d자 이상이어야 합니다", e.Schema.MinLength)
	case "maxLength":
		return fmt.Sprintf("%d자 이하여야 합니다", *e.Schema.MaxLength)
	case "minimum":
		return fmt.Sprintf("%g 이상이어야 합니다", *e.Schema.Min)
	case "maximum":
		return fmt.Sprintf("%g 이하여야 합니다", *e.Schema.Max)
	case "format":
		return formatReason(e.Schema.Format)
	default:
		return "형식이 올바르지 않습니다"
	}
}

func typeReason(s *openapi3.Schema) string {
	switch {
	case s.Type.Is(openapi3.TypeString):
		return "문자열이어야 합니다"
	case s.Type.Is(openapi3.TypeInteger):
		return "정수여야 합니다"
	case s.Type.Is(openapi3.TypeNumber):
		return "숫자여야 합니다"
	case s.Type.Is(openapi3.TypeBoolean):
		return "true 또는 false여야 합니다"
	case s.Type.Is(openapi3.TypeArray):
		return "배열이어야 합니다"
	default:
		return "JSON 객체여야 합니다"
	}
}

// untypedReason returns why the text of a parameter is not of the type of its schema. For a whole number it names what
// is wrong with it: how it is written, or its size.
func untypedReason(s *openapi3.Schema, text string) string {
	digits := strings.TrimPrefix(text, "-")
	if !s.Type.Is(openapi3.TypeInteger) || digits == "" || strings.Trim(digits, "0123456789") != "" {
		return typeReason(s)
	}
	if digits[0] == '0' {
		return "앞에 0을 붙이지 않은 정수여야 합니다"
	}
	if text[0] == '-' && s.Min != nil {
		return fmt.Sprintf("%g 이상이어야 합니다", *s.Min)
	}
	if s.Max != nil {
		return fmt.Sprintf("%g 이하여야 합니다", *s.Max)
	}
	return "너무 큰 수입니다"
}

func formatReason(format string) string {
	switch format {
	case "date":
		return "YYYY-MM-DD 형식의 올바른 날짜여야 합니다"
	case "uuid":
		return "올바른 UUID 형식이어야 합니다"
	default:
		return "형식이 올바르지 않습니다"
	}
}

func oneOf(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = fmt.Sprint(v)
	}
	return strings.Join(texts, ", ") + " 중 하나여야 합니다"
}
