package opsapi

import (
	"github.com/getkin/kin-openapi/openapi3"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/contract"
	gen "phonebill/adapters/rest/internal/opsgen"
)

// Spec answers openapi/operations.yaml.
func Spec() (*openapi3.T, error) { return gen.GetSpec() }

// Mount registers the operations on a router.
func (h *Handlers) Mount(to *contract.Router, hooks rest.Hooks) {
	strict := gen.NewStrictHandlerWithOptions(h, nil, gen.StrictHTTPServerOptions{
		RequestErrorHandlerFunc: hooks.Request, ResponseErrorHandlerFunc: hooks.Response,
	})
	gen.HandlerWithOptions(strict, gen.StdHTTPServerOptions{
		BaseURL: to.Base(), BaseRouter: to, ErrorHandlerFunc: hooks.Request,
	})
}
