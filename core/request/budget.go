// Package request holds the rules that all requests of customers share, whatever they ask for: how long an answer may
// take, and how a client repeats a request safely. Begin with budget.go; docs/adding-a-product.md shows how a product
// uses it.
package request

import "time"

// AnswerBudget is how long a request may take until its answer is sent, counted from its arrival at the service. A
// customer has an answer within 3 s; the rest of the 3 s is for the gateway and the network. A bill inquiry or a plan
// change that is not done by then is answered with 202 and carried on in the background. A screen or a check whose
// facts KOS has not delivered by then is answered with an old copy or with 503.
const AnswerBudget = 2700 * time.Millisecond
