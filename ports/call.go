package ports

import (
	"time"

	"phonebill/core/id"
	"phonebill/core/quota"
)

// Call is what one call of KOS, or of another system behind a product, is made for and may spend.
type Call struct {
	Lane      quota.Lane
	RequestID id.ID     // of the customer's request; zero when it is made for none
	Attempt   int       // of the request, from 1
	NotAfter  time.Time // when its answer is of no use any more; zero = the context's deadline alone
}
