package gateway

import (
	"net/http"

	"phonebill/adapters/rest/contract"
	"phonebill/core/auth"
	"phonebill/core/operations"
)

// maintained refuses what customers ask of a service while the operator has switched it off. Those who may switch it on
// again go on. changes says that what writes at this service checks or changes a plan.
func (c Config) maintained(changes bool, fail contract.Fail) func(next http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if c.Maintenance == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			write := r.Method != http.MethodGet && r.Method != http.MethodHead
			err := c.Maintenance().Refuse(changes && write, c.Clock())
			if err != nil && !contract.Principal(r.Context()).Has(auth.Operations) {
				fail(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Maintenance returns when customers' operations are switched off, as it is known now; it must not block.
type Maintenance func() operations.Maintenance
