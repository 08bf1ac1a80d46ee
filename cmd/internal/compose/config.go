// Package compose wires the units of phonebill: plain constructors that read like a diagram. The mains, the all-in-one and the
// end-to-end tests share it.
package compose

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"phonebill/adapters/credentials"
	"phonebill/adapters/kos"
	"phonebill/adapters/mvnoap"
	"phonebill/adapters/postgres"
	"phonebill/cmd/internal/boot"
	"phonebill/core/auth"
	"phonebill/core/freshness"
	"phonebill/core/id"
	"phonebill/core/personal"
	"phonebill/core/product"
	"phonebill/core/quota"
	"phonebill/ports"
)

// Tools are what every unit gets.
type Tools struct {
	Log    *slog.Logger
	Now    ports.Clock
	NewID  ports.IDs
	Random ports.Random
}

// RealTools tell the real time, in UTC and in PostgreSQL's microseconds, so that a stored time equals the one in memory.
func RealTools(log *slog.Logger) Tools {
	return Tools{
		Log:    log,
		Now:    func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) },
		NewID:  func() id.ID { return id.ID(uuid.Must(uuid.NewV7())) },
		Random: rand.Float64,
	}
}

// Listen are a unit's two listeners, and the peers that may tell it whom they speak for (X-Forwarded-For): the gateways.
type Listen struct {
	Addr, Internal string
	Trusted        []netip.Prefix
}

// Cache is where Valkey or Redis is: host:port, or with Cluster one or more nodes of a cluster, separated by commas. Mini tells that it is
// miniredis, which knows less.
type Cache struct {
	Addr     string
	Cluster  bool
	Password personal.Secret
	Mini     bool
}

// Data are the stores that every service needs.
type Data struct {
	DatabaseURL personal.Secret
	PoolSize    int
	Instances   int    // of this service, over all machines
	Keyring     string // path of the keyring file
	Cache       Cache
}

// AuthLink is where the auth service is, for those who verify tokens. Token is what all services share for the internal API and the
// push of revocations; empty = none, for development.
type AuthLink struct {
	URL, InternalURL string
	Token            personal.Secret
}

// KOS is the link to KOS and its shared database.
type KOS struct {
	URL         string
	Token       personal.Secret // fixed; empty with a TokenFile
	TokenFile   string          // of one or two keys, read again when it changes
	DatabaseURL personal.Secret
	Quota       quota.Window
	PerCustomer quota.Allowance     // what one customer may spend of it
	Floor       postgres.Floor      // of the budget, while the ledger cannot be asked
	Breakers    kos.BreakerPolicies // of operations that differ from the default
	Fresh       Fresh
	Prefetch    Prefetch
}

// AP is the MVNO AP server.
type AP struct {
	URL          string
	Secret, Next personal.Secret      // fixed; Next is empty but during a rotation, both with a SecretFile
	SecretFile   string               // of one or two secrets, read again when it changes
	Breaker      mvnoap.BreakerPolicy // zero = the usual one
	Rate         int                  // results told a second by this process at most; 0 = no limit
}

// AuthConfig configures the auth service. InternalToken is AuthLink.Token of the others.
type AuthConfig struct {
	Listen
	Data
	InternalToken personal.Secret
	// GatewayAuditToken is what the gateway shows to put into the audit log what staff do through it; empty = it
	// cannot.
	GatewayAuditToken personal.Secret
	Sessions          auth.SessionPolicy
	Login             Login
	Searches          int // exact searches per member of staff and hour; 0 = 30
}

// Login configures how people log in. The zero value is strict cookies, no throttle and hashing in the process.
type Login struct {
	PlainCookies      bool     // let the device cookie travel over plain HTTP
	ThrottlePerMinute int      // logins and refreshes per address; 0 = no limit
	HashWorker        []string // the command that hashes passwords at low priority; empty = this process does
	Hashing           credentials.HashParams
}

// ReadLogin reads AUTH_COOKIE_SECURE (default secureCookies), LOGIN_THROTTLE_PER_MINUTE (600; 0 = no limit), HASH_WORKER (a program, or
// "off") and the cost of a password hash: ARGON2_MEMORY_KIB (19456), ARGON2_PASSES (2). A change of cost rehashes at the next login.
func ReadLogin(r *boot.Reader, secureCookies string) Login {
	const logins = 600
	hashing, least := credentials.DefaultHashParams(), credentials.DefaultHashParams()
	hashing.MemoryKiB = uint32(r.Int("ARGON2_MEMORY_KIB", int(least.MemoryKiB), 8, 1<<20)) //nolint:gosec // within bounds
	hashing.Passes = uint32(r.Int("ARGON2_PASSES", int(least.Passes), 1, 100))             //nolint:gosec // within bounds
	r.Weakens("ARGON2_MEMORY_KIB", hashing.MemoryKiB < least.MemoryKiB, fmt.Sprintf("less than %d KiB a password hash", least.MemoryKiB))
	r.Weakens("ARGON2_PASSES", hashing.Passes < least.Passes, fmt.Sprintf("fewer than %d passes a password hash", least.Passes))
	l := Login{
		PlainCookies:      r.String("AUTH_COOKIE_SECURE", secureCookies) == "false",
		ThrottlePerMinute: r.Int("LOGIN_THROTTLE_PER_MINUTE", logins, 0, 1_000_000), Hashing: hashing,
	}
	r.Weakens("AUTH_COOKIE_SECURE", l.PlainCookies, "the device cookie would travel over plain HTTP")
	r.Weakens("LOGIN_THROTTLE_PER_MINUTE", l.ThrottlePerMinute == 0, "logins would not be limited")
	if program := r.String(boot.HashWorker, "off"); program != "off" {
		l.HashWorker = []string{program, credentials.WorkerArgument}
	}
	return l
}

// BillConfig configures the bill inquiry service.
type BillConfig struct {
	Listen
	Data
	Auth    AuthLink
	KOS     KOS
	AP      AP
	History History
}

// ProductConfig configures the product change service.
type ProductConfig struct {
	Listen
	Data
	Auth   AuthLink
	KOS    KOS
	AP     AP
	Policy product.Policy
	Books  Books
}

// GatewayConfig configures the gateway. Upstreams are origins. Without a cache (its Addr empty) it hears of revocations by pulling
// alone.
type GatewayConfig struct {
	Listen
	Cache                       Cache
	Auth                        AuthLink
	BillService, ProductService string
	Instances                   Instances
	AuditToken                  personal.Secret // for the audit log of the auth service, as AuthConfig.GatewayAuditToken
}

// Defaults of the listeners (docs/configuration.md: the gateway on 8080, the services on 8081-8083).
const (
	host            = "127.0.0.1:"
	defaultPoolSize = 20
)

// ReadAuth reads AUTH_ADDR, AUTH_INTERNAL_ADDR, AUTH_DATABASE_URL, INTERNAL_TOKEN, the sessions (ReadSessions), what logins need
// (ReadLogin), STAFF_SEARCHES_PER_HOUR and what all services need.
func ReadAuth(env boot.Env) (AuthConfig, error) {
	r := env.Read()
	c := AuthConfig{
		Listen: listen(r, "AUTH", "8081", "9081"), Data: data(r, "AUTH_DATABASE_URL"), InternalToken: internalToken(r),
		GatewayAuditToken: gatewayAuditToken(r), Sessions: ReadSessions(r), Login: ReadLogin(r, "true"), Searches: ReadSearches(r),
	}
	return c, r.Err()
}

// ReadSessions reads SESSION_IDLE, SESSION_IDLE_AUTO (with auto-login), SESSION_LIFETIME (however busy), REFRESH_GRACE and
// SESSION_DEVICES. The lifetime of access tokens is the same everywhere and not to be configured: all who verify rely on it.
func ReadSessions(r *boot.Reader) auth.SessionPolicy {
	const manyDevices = 1000
	p := auth.DefaultSessions()
	p.Idle = r.Duration("SESSION_IDLE", p.Idle)
	p.IdleAuto = r.Duration("SESSION_IDLE_AUTO", p.IdleAuto)
	p.Refresh = r.Duration("SESSION_LIFETIME", p.Refresh)
	p.RefreshGrace = r.Duration("REFRESH_GRACE", p.RefreshGrace)
	r.Weakens("REFRESH_GRACE", p.RefreshGrace > time.Minute, "a stolen refresh token would go unnoticed for more than a minute")
	p.Devices = r.Int("SESSION_DEVICES", p.Devices, 1, manyDevices)
	return p
}

// ReadBill reads BILL_ADDR, BILL_INTERNAL_ADDR, BILL_DATABASE_URL, how inquiries are recorded (ReadHistory), the links, and what all
// services need.
func ReadBill(env boot.Env) (BillConfig, error) {
	r := env.Read()
	c := BillConfig{
		Listen: listen(r, "BILL", "8082", "9082"), Data: data(r, "BILL_DATABASE_URL"), Auth: authLink(r), KOS: kosLink(r), AP: ap(r),
		History: ReadHistory(r, defaultSpool),
	}
	return c, r.Err()
}

// ReadProduct reads PRODUCT_ADDR, PRODUCT_INTERNAL_ADDR, PRODUCT_DATABASE_URL, the operator's rules of changes, the links, and what all
// services need.
func ReadProduct(env boot.Env) (ProductConfig, error) {
	r := env.Read()
	c := ProductConfig{
		Listen: listen(r, "PRODUCT", "8083", "9083"), Data: data(r, "PRODUCT_DATABASE_URL"), Auth: authLink(r), KOS: kosLink(r), AP: ap(r),
		Policy: ReadPolicy(r), Books: ReadBooks(r, "05:00-06:00"),
	}
	return c, r.Err()
}

// ReadPolicy reads CHANGE_EFFECTIVE and CHANGE_ONCE_A_MONTH.
func ReadPolicy(r *boot.Reader) product.Policy {
	once := boot.Parsed(r, "CHANGE_ONCE_A_MONTH", "false", strconv.ParseBool)
	return boot.Parsed(r, "CHANGE_EFFECTIVE", "FIRST_OF_NEXT_MONTH,TODAY", func(rules string) (product.Policy, error) {
		return product.ParsePolicy(rules, once)
	})
}

// ReadGateway reads GATEWAY_ADDR, GATEWAY_INTERNAL_ADDR, the origins of the services, those of their instances (ReadInstances), and
// VALKEY_ADDR if there is any.
func ReadGateway(env boot.Env) (GatewayConfig, error) {
	r := env.Read()
	c := GatewayConfig{
		Listen: listenBehind(r, trustedProxies, "", "GATEWAY", "8080", "9080"), Auth: authLink(r), Cache: cache(r, r.String("VALKEY_ADDR", "")),
		BillService: r.String("BILL_URL", "http://"+host+"8082"), ProductService: r.String("PRODUCT_URL", "http://"+host+"8083"),
		Instances: ReadInstances(r), AuditToken: gatewayAuditToken(r),
	}
	return c, r.Err()
}

// gatewayAuditToken is for the auth service and the gateway alone.
func gatewayAuditToken(r *boot.Reader) personal.Secret {
	return r.Guarded("GATEWAY_AUDIT_TOKEN", shortestSecret)
}

// distinct refuses a credential of one service that all services have.
func distinct(shared, own personal.Secret) error {
	if own.Reveal() != "" && own == shared {
		return errors.New("GATEWAY_AUDIT_TOKEN is that of INTERNAL_TOKEN, which every service has: it must be another")
	}
	return nil
}

// listen reads the listeners of a service. TRUSTED_PEERS are the networks of the gateways before it.
func listen(r *boot.Reader, prefix, public, internal string) Listen {
	return listenBehind(r, "TRUSTED_PEERS", "127.0.0.0/8,::1/128", prefix, public, internal)
}

// trustedProxies names the networks of what stands before the gateway: load balancers and proxies. None are trusted by default.
const trustedProxies = "TRUSTED_PROXIES"

func listenBehind(r *boot.Reader, peers, usual, prefix, public, internal string) Listen {
	return Listen{
		Addr: r.String(prefix+"_ADDR", host+public), Internal: r.String(prefix+"_INTERNAL_ADDR", host+internal),
		Trusted: trusted(r, peers, usual),
	}
}

func trusted(r *boot.Reader, key, usual string) []netip.Prefix {
	networks := r.Prefixes(key, usual)
	wide := slices.ContainsFunc(networks, func(p netip.Prefix) bool {
		return p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 16
	})
	r.Weakens(key, wide, "a network that wide lets strangers say from which address they come")
	return networks
}

// ReadTrustedProxies reads TRUSTED_PROXIES: networks like 10.0.0.0/8, separated by commas.
func ReadTrustedProxies(r *boot.Reader) []netip.Prefix { return trusted(r, trustedProxies, "") }

func data(r *boot.Reader, databaseKey string) Data {
	return Data{
		DatabaseURL: r.Secret(databaseKey), PoolSize: r.Int("DATABASE_POOL_SIZE", defaultPoolSize, 2, 200),
		Instances: r.Int("INSTANCES", 1, 1, 1000), Keyring: r.Required("KEYRING_FILE"),
		Cache: cache(r, r.Required("VALKEY_ADDR")),
	}
}

// cache reads VALKEY_CLUSTER (true = a cluster), VALKEY_PASSWORD and VALKEY_MINI.
func cache(r *boot.Reader, addr string) Cache {
	mini := r.String("VALKEY_MINI", "") == "true"
	r.Weakens("VALKEY_MINI", mini, "the in-process cache is for a look around")
	return Cache{
		Addr: addr, Cluster: r.String("VALKEY_CLUSTER", "") == "true", Password: personal.NewSecret(r.String("VALKEY_PASSWORD", "")),
		Mini: mini,
	}
}

// shortestSecret is how long what an attacker must not guess is at least: 32 characters hold 128 random bits even in hexadecimal.
const shortestSecret = 32

// internalToken reads INTERNAL_TOKEN. Without it the internal API stands open, which only development allows.
func internalToken(r *boot.Reader) personal.Secret {
	return r.Guarded("INTERNAL_TOKEN", shortestSecret)
}

func authLink(r *boot.Reader) AuthLink {
	return AuthLink{
		URL: r.String("AUTH_URL", "http://"+host+"8081"), InternalURL: r.String("AUTH_INTERNAL_URL", "http://"+host+"9081"),
		Token: internalToken(r),
	}
}

func kosLink(r *boot.Reader) KOS {
	budget := ReadQuota(r)
	k := KOS{
		URL: r.Required("KOS_URL"), TokenFile: r.String("KOS_TOKEN_FILE", ""), DatabaseURL: r.Secret("KOS_DATABASE_URL"),
		Quota: budget, PerCustomer: ReadPerCustomer(r, budget), Floor: ReadFloor(r, budget), Breakers: ReadBreakers(r),
		Fresh: ReadFresh(r), Prefetch: ReadPrefetch(r, "02:00-05:00"),
	}
	if k.TokenFile == "" {
		k.Token = r.Secret("KOS_TOKEN")
	}
	return k
}

// ReadBreakers reads KOS_BREAKERS, the policies of circuit breakers that differ from 5/30s/3, like
// "bill.inquiry=5/30s/3,product.change=3/60s/2".
func ReadBreakers(r *boot.Reader) kos.BreakerPolicies {
	policies, err := kos.ParseBreakers(r.String("KOS_BREAKERS", ""))
	r.Mistake("KOS_BREAKERS", err)
	return policies
}

// ReadQuota reads KOS_QUOTA_PER_MINUTE: how many calls KOS allows in 60 s, 0 = no limit (for load tests). Our own budget stays
// 5 % below it in a window 2 s longer (S-KOS-BUDGET).
func ReadQuota(r *boot.Reader) quota.Window {
	const allowed = 100
	perMinute := r.Int("KOS_QUOTA_PER_MINUTE", allowed, 0, 10_000_000)
	if perMinute == 0 {
		return quota.Unlimited()
	}
	return quota.Of(perMinute)
}

// ReadPerCustomer reads KOS_PER_CUSTOMER, the calls that one customer may cause over all instances, like 10/1m,60/1h; 0
// = no limit, which is the default where the budget itself has none.
func ReadPerCustomer(r *boot.Reader, budget quota.Window) quota.Allowance {
	usual := quota.DefaultAllowance()
	if budget.IsUnlimited() {
		usual = nil
	}
	return boot.Parsed(r, "KOS_PER_CUSTOMER", usual.String(), quota.ParseAllowance)
}

// Fresh says how long copies of what KOS says are good.
type Fresh struct{ Bill, Customer, Status, Plans freshness.Limits }

// ReadFresh reads CACHE_BILL, CACHE_CUSTOMER, CACHE_LINE_STATUS and CACHE_PLANS, each like 1h/168h: how long a copy is fresh, and how
// long it may be shown
// as stale (docs/spec/numbers.md).
func ReadFresh(r *boot.Reader) Fresh {
	limits := func(key string, def freshness.Limits) freshness.Limits {
		return boot.Parsed(r, key, def.String(), freshness.ParseLimits)
	}
	return Fresh{
		Bill: limits("CACHE_BILL", freshness.Bill), Customer: limits("CACHE_CUSTOMER", freshness.Customer),
		Status: limits("CACHE_LINE_STATUS", freshness.Status),
		Plans:  limits("CACHE_PLANS", freshness.PlanList),
	}
}

// ReadFloor reads KOS_INSTANCES, how many processes there are at most that call KOS (bill and product services together), and
// KOS_FLOOR, how many calls a minute each may make while the quota's ledger cannot be asked; these are taken off the common budget. Floors
// that leave nothing of it are a mistake; without KOS_FLOOR there are none when the budget is too small for one each.
func ReadFloor(r *boot.Reader, budget quota.Window) postgres.Floor {
	const most = 100
	instances := r.Int("KOS_INSTANCES", 4, 1, most)
	_, fits := budget.Apart(instances, 1)
	floor := postgres.Floor{Instances: instances, Calls: r.Int("KOS_FLOOR", fits, 0, most)}
	if _, fits = budget.Apart(floor.Instances, floor.Calls); fits < floor.Calls {
		r.Mistake("KOS_FLOOR", fmt.Errorf("KOS_INSTANCES=%d times KOS_FLOOR=%d leaves nothing of a budget of %d calls (KOS_QUOTA_PER_MINUTE)",
			floor.Instances, floor.Calls, budget.Budget))
	}
	return floor
}

// ReadAPBreaker reads MVNOAP_BREAKER, like KOS_BREAKERS' 5/30s/3.
func ReadAPBreaker(r *boot.Reader) mvnoap.BreakerPolicy {
	return boot.Parsed(r, "MVNOAP_BREAKER", "5/30s/3", mvnoap.ParseBreaker)
}

// ReadAPRate reads MVNOAP_RATE: how many results a second one process tells the AP server at most, 0 (if it is not set) = no limit.
func ReadAPRate(r *boot.Reader) int { return r.Int("MVNOAP_RATE", 0, 0, 100_000) }

// ap reads MVNOAP_URL and the secrets: MVNOAP_SECRET_FILE (one or two lines, read again when it changes), or MVNOAP_SECRET and during a
// rotation MVNOAP_SECRET_NEXT.
func ap(r *boot.Reader) AP {
	a := AP{URL: r.Required("MVNOAP_URL"), SecretFile: r.String("MVNOAP_SECRET_FILE", ""), Breaker: ReadAPBreaker(r), Rate: ReadAPRate(r)}
	if a.SecretFile == "" {
		a.Secret = r.Secret("MVNOAP_SECRET")
		r.Weakens("MVNOAP_SECRET", a.Secret.Reveal() != "" && len(a.Secret.Reveal()) < shortestSecret,
			fmt.Sprintf("it is shorter than %d characters", shortestSecret))
		next := r.String("MVNOAP_SECRET_NEXT", "")
		r.Weakens("MVNOAP_SECRET_NEXT", next != "" && len(next) < shortestSecret, fmt.Sprintf("it is shorter than %d characters", shortestSecret))
		a.Next = personal.NewSecret(next)
	}
	return a
}
