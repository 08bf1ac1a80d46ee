package valkey

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	valkeygo "github.com/valkey-io/valkey-go"

	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/ports"
)

const (
	publishTimeout      = 100 * time.Millisecond // the most that a request waits for publishing
	resubscribeInterval = 250 * time.Millisecond // between two attempts to subscribe
	maxPerMessage       = 500
	maxMessageSize      = 256 << 10
	messageStart        = "v1."
)

// Push publishes revocations over the cache's publish and subscribe: to every subscriber of the moment, at most once,
// in no order. It is the quick way beside the feed, which is the sure one (docs/revocation.md). Messages carry a MAC of
// the token that all services share, so that others who can publish can log no user out; no message can log a user in.
// It is safe for concurrent use.
type Push struct {
	client    *Client
	channel   string
	key       []byte
	log       *slog.Logger
	messages  *prometheus.CounterVec
	listening atomic.Bool
	warnedAt  atomic.Int64 // Unix ns of the last log line about trouble
}

var _ ports.RevocationPush = (*Push)(nil)

// NewPush publishes on a channel in the client's namespace.
func NewPush(c *Client, token personal.Secret, log *slog.Logger) (*Push, error) {
	p := &Push{
		client: c, channel: c.cfg.Namespace + ":revocations:v1", key: []byte(token.Reveal()), log: log,
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "revocation_messages_total",
			Help: "Messages about revocations through the cache: sent, unsent, heard, refused.",
		}, []string{"result"}),
	}
	if c.cfg.Metrics == nil {
		return p, nil
	}
	listening := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "revocation_push_listening", Help: "1 while this instance hears revocations through the cache.",
	}, func() float64 {
		if p.listening.Load() {
			return 1
		}
		return 0
	})
	if err := errors.Join(c.cfg.Metrics.Register(p.messages), c.cfg.Metrics.Register(listening)); err != nil {
		return nil, fmt.Errorf("valkey: %w", err)
	}
	return p, nil
}

// Push publishes within 100 ms or not at all, also when the caller's context has ended.
func (p *Push) Push(ctx context.Context, ended ...auth.Revocation) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	for len(ended) > 0 {
		n := min(len(ended), maxPerMessage)
		if err := p.send(ctx, p.encode(ended[:n])); err != nil {
			p.messages.WithLabelValues("unsent").Inc()
			if p.mayWarn() {
				p.log.WarnContext(ctx, "revocations could not be pushed; the others learn them by their next pull",
					slog.Any("error", err))
			}
			return
		}
		p.messages.WithLabelValues("sent").Inc()
		ended = ended[n:]
	}
}

func (p *Push) send(ctx context.Context, message string) error {
	_, err := p.client.within(ctx, publishTimeout, func(ctx context.Context, conn valkeygo.Client) (any, error) {
		return nil, conn.Do(ctx, conn.B().Publish().Channel(p.channel).Message(message).Build()).Error()
	})
	return err
}

// mayWarn reports once in a while that it is time to log trouble.
func (p *Push) mayWarn() bool {
	now := time.Now().UnixNano()
	last := p.warnedAt.Load()
	return now-last > int64(warnInterval) && p.warnedAt.CompareAndSwap(last, now)
}

// Listen passes what it receives to to, until ctx is done. After each subscription it calls pull once, because of
// messages that were published before. It reconnects by itself.
func (p *Push) Listen(ctx context.Context, to ports.RevocationPush, pull func(context.Context) error) {
	begun := make(chan struct{}, 1)
	catchUp := make(chan struct{})
	go func() {
		defer close(catchUp)
		for {
			select {
			case <-ctx.Done():
				return
			case <-begun:
				_ = pull(ctx) // the next regular pull reports its trouble
			}
		}
	}()
	for ctx.Err() == nil {
		p.receive(ctx, to, begun)
		p.listening.Store(false)
		select {
		case <-ctx.Done():
		case <-time.After(resubscribeInterval):
		}
	}
	<-catchUp
}

// receive subscribes on one connection until it breaks.
func (p *Push) receive(ctx context.Context, to ports.RevocationPush, begun chan<- struct{}) {
	conn := p.client.conn.Load()
	if conn == nil {
		return
	}
	subscribed := valkeygo.WithOnSubscriptionHook(ctx, func(s valkeygo.PubSubSubscription) {
		if s.Kind != "subscribe" {
			return
		}
		p.listening.Store(true)
		select {
		case begun <- struct{}{}:
		default: // a pull is to come anyway
		}
	})
	_ = (*conn).Receive(subscribed, (*conn).B().Subscribe().Channel(p.channel).Build(), func(m valkeygo.PubSubMessage) {
		ended, err := p.decode(m.Message)
		if err != nil {
			p.messages.WithLabelValues("refused").Inc()
			if p.mayWarn() {
				p.log.WarnContext(ctx, "a message on the channel of revocations is not ours", slog.Any("error", err))
			}
			return
		}
		p.messages.WithLabelValues("heard").Inc()
		to.Push(ctx, ended...)
	})
}

// wireMessage is version 1 of the wire format. It has no times: a revocation counts from when it is received.
type wireMessage struct {
	Sessions []string    `json:"sessions,omitempty"`
	Reasons  []string    `json:"reasons,omitempty"` // of the sessions, in their order; absent from the previous release
	Users    []userEpoch `json:"users,omitempty"`
}

type userEpoch struct {
	UserID string `json:"userId"`
	Epoch  int    `json:"epoch"`
}

func (p *Push) encode(ended []auth.Revocation) string {
	var m wireMessage
	for _, r := range ended {
		if r.UserID != "" {
			m.Users = append(m.Users, userEpoch{string(r.UserID), r.Epoch})
			continue
		}
		m.Sessions, m.Reasons = append(m.Sessions, r.SessionID.String()), append(m.Reasons, string(r.Why))
	}
	body, _ := json.Marshal(m) // strings and numbers do not fail
	return messageStart + base64.RawURLEncoding.EncodeToString(p.mac(body)) + "." + string(body)
}

func (p *Push) mac(body []byte) []byte {
	m := hmac.New(sha256.New, p.key)
	_, _ = m.Write([]byte(p.channel + "\n"))
	_, _ = m.Write(body)
	return m.Sum(nil)
}

var (
	errNotConnected = errors.New("valkey: not connected")
	errMessage      = errors.New("valkey: malformed message")
	errForged       = errors.New("valkey: a message with a wrong MAC")
)

// decode returns all of a message or nothing.
func (p *Push) decode(message string) ([]auth.Revocation, error) {
	rest, ok := strings.CutPrefix(message, messageStart)
	given, body, ok2 := strings.Cut(rest, ".")
	mac, err := base64.RawURLEncoding.DecodeString(given)
	switch {
	case !ok || !ok2 || err != nil || len(message) > maxMessageSize:
		return nil, errMessage
	case !hmac.Equal(mac, p.mac([]byte(body))):
		return nil, errForged
	}
	var m wireMessage
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return nil, errMessage
	}
	out := make([]auth.Revocation, 0, len(m.Sessions)+len(m.Users))
	for i, s := range m.Sessions {
		sid, err := id.Parse(s)
		if err != nil || sid.IsZero() {
			return nil, errMessage
		}
		v := auth.Revocation{SessionID: sid}
		if i < len(m.Reasons) {
			v.Why = auth.EndReason(m.Reasons[i])
		}
		out = append(out, v)
	}
	for _, u := range m.Users {
		user, err := auth.ParseUserID(u.UserID)
		if err != nil {
			return nil, errMessage
		}
		out = append(out, auth.Revocation{UserID: user, Epoch: u.Epoch})
	}
	return out, nil
}
