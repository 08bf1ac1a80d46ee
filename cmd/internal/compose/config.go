// Package compose wires the units of phonebill: plain constructors that read like a diagram. The mains, the all-in-one and the
// end-to-end tests share it.
package compose

import (
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"phonebill/adapters/postgres"
	"phonebill/cmd/internal/boot"
	"phonebill/core/id"
	"phonebill/core/personal"
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

// Cache is where Valkey or Redis is. Mini tells that it is miniredis, which knows less.
type Cache struct {
	Addr     string
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

// AuthLink is where the auth service is, for those who verify tokens.
type AuthLink struct{ URL, InternalURL string }

// KOS is the link to KOS and its shared database.
type KOS struct {
	URL         string
	Token       personal.Secret
	DatabaseURL personal.Secret
	Quota       quota.Window
	Floor       postgres.Floor // of the budget, while the ledger cannot be asked
}

// AP is the MVNO AP server.
type AP struct {
	URL    string
	Secret personal.Secret
}

// AuthConfig configures the auth service.
type AuthConfig struct {
	Listen
	Data
}

// BillConfig configures the bill inquiry service.
type BillConfig struct {
	Listen
	Data
	Auth AuthLink
	KOS  KOS
	AP   AP
}

// ProductConfig configures the product change service.
type ProductConfig struct {
	Listen
	Data
	Auth AuthLink
	KOS  KOS
	AP   AP
}

// GatewayConfig configures the gateway. Upstreams are origins.
type GatewayConfig struct {
	Listen
	Auth                        AuthLink
	BillService, ProductService string
}

// Defaults of the listeners (product.md: the gateway on 8080, the services on 8081-8083).
const (
	host            = "127.0.0.1:"
	defaultPoolSize = 20
)

// ReadAuth reads AUTH_ADDR, AUTH_INTERNAL_ADDR, AUTH_DATABASE_URL and what all services need.
func ReadAuth(env boot.Env) (AuthConfig, error) {
	r := env.Read()
	c := AuthConfig{Listen: listen(r, "AUTH", "8081", "9081"), Data: data(r, "AUTH_DATABASE_URL")}
	return c, r.Err()
}

// ReadBill reads BILL_ADDR, BILL_INTERNAL_ADDR, BILL_DATABASE_URL, the links, and what all services need.
func ReadBill(env boot.Env) (BillConfig, error) {
	r := env.Read()
	c := BillConfig{
		Listen: listen(r, "BILL", "8082", "9082"), Data: data(r, "BILL_DATABASE_URL"), Auth: authLink(r), KOS: kosLink(r), AP: ap(r),
	}
	return c, r.Err()
}

// ReadProduct reads PRODUCT_ADDR, PRODUCT_INTERNAL_ADDR, PRODUCT_DATABASE_URL, the links, and what all services need.
func ReadProduct(env boot.Env) (ProductConfig, error) {
	r := env.Read()
	c := ProductConfig{
		Listen: listen(r, "PRODUCT", "8083", "9083"), Data: data(r, "PRODUCT_DATABASE_URL"), Auth: authLink(r), KOS: kosLink(r), AP: ap(r),
	}
	return c, r.Err()
}

// ReadGateway reads GATEWAY_ADDR, GATEWAY_INTERNAL_ADDR and the origins of the services.
func ReadGateway(env boot.Env) (GatewayConfig, error) {
	r := env.Read()
	c := GatewayConfig{
		Listen: listen(r, "GATEWAY", "8080", "9080"), Auth: authLink(r),
		BillService: r.String("BILL_URL", "http://"+host+"8082"), ProductService: r.String("PRODUCT_URL", "http://"+host+"8083"),
	}
	return c, r.Err()
}

func listen(r *boot.Reader, prefix, public, internal string) Listen {
	return Listen{
		Addr: r.String(prefix+"_ADDR", host+public), Internal: r.String(prefix+"_INTERNAL_ADDR", host+internal),
		Trusted: r.Prefixes("TRUSTED_PEERS", "127.0.0.0/8,::1/128"),
	}
}

func data(r *boot.Reader, databaseKey string) Data {
	return Data{
		DatabaseURL: r.Secret(databaseKey), PoolSize: r.Int("DATABASE_POOL_SIZE", defaultPoolSize, 2, 200),
		Instances: r.Int("INSTANCES", 1, 1, 1000), Keyring: r.Required("KEYRING_FILE"),
		Cache: Cache{
			Addr: r.Required("VALKEY_ADDR"), Password: personal.NewSecret(r.String("VALKEY_PASSWORD", "")),
			Mini: r.String("VALKEY_MINI", "") == "true",
		},
	}
}

func authLink(r *boot.Reader) AuthLink {
	return AuthLink{
		URL: r.String("AUTH_URL", "http://"+host+"8081"), InternalURL: r.String("AUTH_INTERNAL_URL", "http://"+host+"9081"),
	}
}

func kosLink(r *boot.Reader) KOS {
	return KOS{
		URL: r.Required("KOS_URL"), Token: r.Secret("KOS_TOKEN"), DatabaseURL: r.Secret("KOS_DATABASE_URL"), Quota: ReadQuota(r),
		Floor: ReadFloor(r),
	}
}

// ReadQuota reads KOS_QUOTA_PER_MINUTE: how many calls KOS allows in 60 s, 0 = no limit (for load tests). Our own budget stays
// 5 % below it in a window 2 s longer (product.md).
func ReadQuota(r *boot.Reader) quota.Window {
	const allowed = 100
	perMinute := r.Int("KOS_QUOTA_PER_MINUTE", allowed, 0, 10_000_000)
	if perMinute == 0 {
		return quota.Unlimited()
	}
	return quota.Of(perMinute)
}

// ReadFloor reads KOS_INSTANCES, how many processes there are at most that call KOS (bill and product services together), and
// KOS_FLOOR, how many calls a minute each may make while the quota's ledger cannot be asked; these are taken off the common budget.
func ReadFloor(r *boot.Reader) postgres.Floor {
	return postgres.Floor{Instances: r.Int("KOS_INSTANCES", 4, 1, 100), Calls: r.Int("KOS_FLOOR", 1, 0, 100)}
}

func ap(r *boot.Reader) AP {
	return AP{URL: r.Required("MVNOAP_URL"), Secret: r.Secret("MVNOAP_SECRET")}
}
