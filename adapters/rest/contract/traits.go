package contract

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"phonebill/core/upstream"
)

// Traits say how the gateway treats the requests of one operation when its service has trouble.
type Traits struct {
	Class   upstream.Class // x-priority; reading one thing unless the method writes
	Failure string         // x-failure-message, the text of the story; empty for the catalogue's
	Waits   bool           // it can be a long poll: it has the parameter wait
}

// TraitsOf returns the traits of every operation of the specification by its pattern ("GET /api/v1/bills/menu"), as
// http.Request.Pattern has it.
func TraitsOf(spec *openapi3.T) (map[string]Traits, error) {
	base := ""
	if len(spec.Servers) > 0 {
		base = strings.TrimSuffix(spec.Servers[0].URL, "/")
	}
	all := map[string]Traits{}
	for template, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			t, err := traitsOf(method, op)
			if err != nil {
				return nil, fmt.Errorf("contract: %s %s: %w", method, template, err)
			}
			all[method+" "+base+template] = t
			if atRoot, _ := op.Extensions["x-also-at-root"].(bool); atRoot {
				all[method+" "+template] = t
			}
		}
	}
	return all, nil
}

func traitsOf(method string, op *openapi3.Operation) (Traits, error) {
	t := Traits{Class: upstream.First}
	if method == http.MethodGet {
		t.Class = upstream.Read
	}
	t.Waits = op.Parameters.GetByInAndName(openapi3.ParameterInQuery, "wait") != nil
	t.Failure, _ = op.Extensions["x-failure-message"].(string)
	name, given := op.Extensions["x-priority"]
	if !given {
		return t, nil
	}
	text, _ := name.(string)
	var err error
	t.Class, err = upstream.ParseClass(text)
	return t, err
}
