package contract

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"phonebill/core/id"
)

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
