package internalclient

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"phonebill/adapters/internal/targets"
	gen "phonebill/adapters/internalclient/internal/internalgen"
	"phonebill/core/fault"
	"phonebill/core/operations"
	"phonebill/core/personal"
	"phonebill/ports"
)

const (
	maxAnswer = 1 << 20 // bytes
	// lookupTimeout is how long the name server may take when instances are asked for; then those that were found last
	// are asked.
	lookupTimeout = 500 * time.Millisecond
	// goneFor is how long an instance is listed that its name does not lead to any more: long enough for a person who
	// looks after an alarm to see which one it was.
	goneFor = 5 * time.Minute
	// connections to an instance that are kept for the next question
	idlePerInstance = 16
	idleTimeout     = time.Minute
)

// Access is how the instances of the services are found and reached. The zero value is the ordinary way, without a
// token.
type Access struct {
	Token personal.Secret // what all services share; the empty token is not sent
	// DialTLS connects to an address as the server of that name; nil for the system's roots.
	DialTLS  func(ctx context.Context, network, address, name string) (net.Conn, error)
	Resolver targets.Resolver // nil means net.DefaultResolver
	Now      ports.Clock      // nil means time.Now
	// NotFound receives a name that could not be looked up (err), or that has no address; may be nil.
	NotFound func(ctx context.Context, service, name string, err error)
}

// Service names the instances of one service by the origins of their internal listeners, or by names that stand for
// them (docs/upstreams.md).
type Service struct {
	Name    string
	Origins []string
}

// Services asks the instances of the services; it implements ports.Instances. It is safe for concurrent use. How long a
// Status may take is up to the caller's context.
type Services struct {
	access Access
	doer   *http.Client
	fleets []*fleet

	mu    sync.Mutex
	known map[operations.Instance]*found
}

// fleet is where the instances of one service are.
type fleet struct {
	name   string
	finder *targets.Finder
}

// found is an instance that was found.
type found struct {
	at     targets.Endpoint
	client *gen.Client
	last   time.Time // when it was found for the last time
	gone   bool      // its name does not lead to it any more
}

var _ ports.Instances = (*Services)(nil)

// NewServices returns a client of all instances. One is named by its host and port. A service may have
// none. It fails when an origin is malformed or named twice.
func NewServices(a Access, services ...Service) (*Services, error) {
	if a.Now == nil {
		a.Now = time.Now
	}
	if a.Resolver == nil {
		a.Resolver = net.DefaultResolver
	}
	s := &Services{access: a, known: map[operations.Instance]*found{}}
	s.doer = newDoer(&http.Transport{
		DialTLSContext: s.dialTLS, MaxIdleConnsPerHost: idlePerInstance, IdleConnTimeout: idleTimeout,
	}, 0)
	for _, service := range services {
		var all []targets.Target
		if len(service.Origins) > 0 {
			var err error
			all, err = targets.Parse(service.Origins)
			if err != nil {
				return nil, fmt.Errorf("internalclient: instances of %s: %w", service.Name, err)
			}
		}
		s.fleets = append(s.fleets, &fleet{service.Name, targets.NewFinder(all, a.Resolver, s.notFound(service.Name))})
	}
	return s, nil
}

func (s *Services) notFound(service string) func(context.Context, targets.Target, error) {
	return func(ctx context.Context, t targets.Target, err error) {
		if s.access.NotFound != nil {
			s.access.NotFound(ctx, service, t.String(), err)
		}
	}
}

// dialTLS connects to an instance. Its certificate is for the name that it was found by.
func (s *Services) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	name := s.nameOf(address)
	if s.access.DialTLS != nil {
		return s.access.DialTLS(ctx, network, address, name)
	}
	dialer := tls.Dialer{Config: &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12}}
	return dialer.DialContext(ctx, network, address) //nolint:wrapcheck // the caller tells errors of connecting apart
}

// nameOf returns the name that the instance at an address was found by.
func (s *Services) nameOf(address string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.known {
		if k.at.Address == address {
			if name, _, err := net.SplitHostPort(k.at.Host); err == nil {
				return name
			}
		}
	}
	return ""
}

// HasNames reports whether instances are found by names, so that they may come and go.
func (s *Services) HasNames() bool {
	return slices.ContainsFunc(s.fleets, func(f *fleet) bool { return f.finder.HasNames() })
}

// All implements ports.Instances: names are looked up anew.
func (s *Services) All(ctx context.Context, services ...string) []operations.Instance {
	per := make([][]operations.Instance, len(s.fleets))
	var looking sync.WaitGroup
	for n, f := range s.fleets {
		if len(services) == 0 || slices.Contains(services, f.name) {
			looking.Go(func() { per[n] = s.find(ctx, f) })
		}
	}
	looking.Wait()
	return slices.Concat(per...)
}

// find returns the instances of a service: those that are found now; then, in the place of its instances, each name
// that none was ever found by, so that it is seen to be missing; and those that have gone lately, the last first.
func (s *Services) find(ctx context.Context, f *fleet) []operations.Instance {
	endpoints := f.finder.Find(ctx, lookupTimeout)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.access.Now()
	var all []operations.Instance
	for _, e := range endpoints {
		i := operations.Instance{Service: f.name, Name: e.Label()}
		if slices.Contains(all, i) {
			continue // found by two names
		}
		all = append(all, i)
		k := s.known[i]
		if k == nil || k.at != e {
			k = &found{at: e, client: s.newClient(e)}
			s.known[i] = k
		}
		k.last, k.gone = now, false
	}
	for _, t := range f.finder.Missing() {
		all = append(all, operations.Instance{Service: f.name, Name: t.String()})
	}
	return append(all, s.goneOf(f.name, all, now)...)
}

// goneOf forgets the instances of a service that have been gone for too long and returns the other ones that are not
// among those found, the last first. The caller holds the lock.
func (s *Services) goneOf(service string, foundNow []operations.Instance, now time.Time) []operations.Instance {
	var gone []operations.Instance
	for i, k := range s.known {
		if i.Service != service || slices.Contains(foundNow, i) {
			continue
		}
		if k.gone = true; now.Sub(k.last) > goneFor {
			delete(s.known, i)
			continue
		}
		gone = append(gone, i)
	}
	slices.SortFunc(gone, func(a, b operations.Instance) int {
		return cmp.Or(s.known[b].last.Compare(s.known[a].last), cmp.Compare(a.Name, b.Name))
	})
	return gone
}

// newClient returns the client of one instance: it connects to the address, and names the host.
func (s *Services) newClient(e targets.Endpoint) *gen.Client {
	client := newClient(e.Scheme+"://"+e.Address, s.access.Token, s.doer)
	client.RequestEditors = append(client.RequestEditors, func(_ context.Context, r *http.Request) error {
		r.Host = e.Host
		return nil
	})
	return client
}

var errUnknown = errors.New("internalclient: it is not found")

// client returns the client of an instance that was found. One that has gone is not asked: its address may be another
// program's by now, which must not be sent the token.
func (s *Services) client(i operations.Instance) (*gen.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch k, known := s.known[i]; {
	case !known:
		return nil, errUnknown
	case k.gone:
		return nil, &ports.GoneError{Since: k.last}
	default:
		return k.client, nil
	}
}

// Status implements ports.Instances.
func (s *Services) Status(ctx context.Context, i operations.Instance) (operations.Status, error) {
	client, err := s.client(i)
	if err != nil {
		return operations.Status{}, err
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
	for _, i := range s.of.All(ctx, s.name) {
		client, err := s.of.client(i)
		if err != nil {
			failure = unavailable(err)
			continue
		}
		body, err := s.askOne(ctx, client, want, send)
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
