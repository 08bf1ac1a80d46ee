package internalclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	gen "phonebill/adapters/internalclient/internal/internalgen"
	"phonebill/core/fault"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/ports"
)

const maxAnswer = 1 << 20 // bytes

// Services asks the instances of the services; it implements ports.Instances. It is safe for concurrent use. How long a
// Status may take is up to the caller's context.
type Services struct {
	all     []operations.Instance
	clients map[operations.Instance]*gen.Client
}

var _ ports.Instances = (*Services)(nil)

// Service names the instances of one service by the origins of their internal listeners.
type Service struct {
	Name    string
	Origins []string
}

// NewServices returns a client of all instances. via is how to reach them, nil the ordinary way. token is what all
// services share; the empty token is not sent. An instance is named by its host and port. It fails when an origin is
// malformed or named twice.
func NewServices(via http.RoundTripper, token personal.Secret, services ...Service) (*Services, error) {
	s := &Services{clients: map[operations.Instance]*gen.Client{}}
	doer := newDoer(via, 0)
	for _, service := range services {
		for _, origin := range service.Origins {
			u, err := url.Parse(origin)
			if err != nil || u.Host == "" || u.Path != "" {
				return nil, fmt.Errorf("internalclient: %q is not an origin like http://host:9082", origin)
			}
			i := operations.Instance{Service: service.Name, Name: u.Host}
			if _, twice := s.clients[i]; twice {
				return nil, fmt.Errorf("internalclient: %s has %s twice", service.Name, u.Host)
			}
			s.all, s.clients[i] = append(s.all, i), newClient(u.Scheme+"://"+u.Host, token, doer)
		}
	}
	return s, nil
}

// All implements ports.Instances.
func (s *Services) All() []operations.Instance { return append([]operations.Instance(nil), s.all...) }

var errUnknown = errors.New("internalclient: no such instance")

// Status implements ports.Instances.
func (s *Services) Status(ctx context.Context, i operations.Instance) (operations.Status, error) {
	client, known := s.clients[i]
	if !known {
		return operations.Status{}, errUnknown
	}
	body, err := read(func() (*http.Response, error) { return client.GetStatus(ctx) }, http.StatusOK, maxAnswer)
	var answered *statusError
	switch {
	case errors.As(err, &answered) && answered.status == http.StatusUnauthorized:
		return operations.Status{}, fmt.Errorf("%w: %w", ports.ErrRefused, err)
	case answered != nil:
		return operations.Status{}, badAnswer(err)
	case err != nil:
		return operations.Status{}, err
	}
	answer, err := decode[gen.Status](body)
	if err != nil {
		return operations.Status{}, err
	}
	if answer.Service != i.Service {
		return operations.Status{}, badAnswer(fmt.Errorf("it is of %q", answer.Service))
	}
	return fromStatus(answer), nil
}

// service asks the instances of one service, any of which knows everything, one after the other until one answers.
type service struct {
	of      *Services
	name    string
	timeout time.Duration // of one instance
}

// request sends one request to an instance.
type request func(ctx context.Context, to *gen.Client) (*http.Response, error)

// askAny returns the first answer with status 200. The request must be safe to repeat. A refusal ends the search;
// SERVICE_UNAVAILABLE when no instance answers.
func askAny[T any](ctx context.Context, s service, send request) (T, error) {
	return answered[T](s.ask(ctx, http.StatusOK, send, always))
}

// askOnce is askAny for a request that must not arrive twice: another instance is asked only when there was no
// connection.
func askOnce[T any](ctx context.Context, s service, send request) (T, error) {
	return answered[T](s.ask(ctx, http.StatusOK, send, neverArrived))
}

func answered[T any](body []byte, err error) (answer T, _ error) {
	if err != nil {
		return answer, err
	}
	answer, err = decode[T](body)
	if err != nil {
		return answer, unavailable(err)
	}
	return answer, nil
}

func (s service) ask(ctx context.Context, want int, send request, mayRepeat func(error) bool) ([]byte, error) {
	var failure error = fault.New(fault.ServiceUnavailable)
	for _, i := range s.of.all {
		if i.Service != s.name {
			continue
		}
		body, err := s.askOne(ctx, s.of.clients[i], want, send)
		if err == nil {
			return body, nil
		}
		failure = toFault(err)
		if fault.From(failure).Code() != fault.ServiceUnavailable || ctx.Err() != nil || !mayRepeat(err) {
			break
		}
	}
	return nil, failure
}

func (s service) askOne(ctx context.Context, to *gen.Client, want int, send request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return read(func() (*http.Response, error) { return send(ctx, to) }, want, maxAnswer)
}

func always(error) bool { return true }

// neverArrived reports whether there was no connection.
func neverArrived(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}
