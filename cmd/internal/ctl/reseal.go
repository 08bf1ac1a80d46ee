package ctl

import (
	"context"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"phonebill/cmd/internal/boot"
	compose "phonebill/cmd/internal/compose/auth"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/devstack"
	"phonebill/core/audit/trail"
	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/personal"
	"phonebill/core/sealing"
	"phonebill/core/sealing/reseal"
	"phonebill/migrations"
)

// maxRowsNamed is how many rows that do not open are named; the rest is counted.
const maxRowsNamed = 20

const resealHelp = `Bind the sealed values that an older release wrote (names, numbers, addresses, lines, bills,
copies, payloads, password hashes) to their rows, in all four databases. From then on a value that is moved to
another row, or into another cache entry, does not open.

Run it once no instance of the older release is left: those cannot read the new form. It has every instance
write the new form, waits 10 s until all of them do, seals the rows anew in small batches, and has the older
form refused at its end. It may be interrupted and run again; rows that are done are looked at and left. Run
on a system that is through, it checks every value and changes nothing.

Values that do not open where they stand are named and left. While there are any, the older form is not
refused (exit code 1), unless --leave-unreadable says that they are lost.

It needs KEYRING_FILE and AUTH_, BILL_, PRODUCT_ and KOS_DATABASE_URL as the services have them, or the system
that "make run" started.`

func (c Console) reseal() *cobra.Command {
	var why string
	var upgraded, anyway bool
	var perSecond int
	cmd := &cobra.Command{
		Use: "reseal", Short: "Bind the sealed values of an older release to their rows, then refuse the older form",
		Long:    resealHelp,
		Example: `  phonebillctl reseal --all-upgraded --reason "every instance is upgraded"`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !upgraded {
				return failf("an instance of an older release cannot read what this writes: say --all-upgraded when none is left")
			}
			if perSecond < 1 {
				return failf("--rows-per-second is 1 or more")
			}
			return c.do(cmd.Context(), func(a *compose.Admin, by admin.Caller) error {
				return c.resealed(cmd.Context(), a, by, why, perSecond, anyway)
			})
		},
	}
	cmd.Flags().BoolVar(&upgraded, "all-upgraded", false, "no instance of an older release is left (required)")
	cmd.Flags().BoolVar(&anyway, "leave-unreadable", false, "refuse the older form also when some values do not open")
	cmd.Flags().IntVar(&perSecond, "rows-per-second", 1000, "how many rows are looked at per second at most")
	return reason(cmd, &why)
}

func (c Console) resealed(
	ctx context.Context, a *compose.Admin, by admin.Caller, why string, perSecond int, anyway bool,
) error {
	why, err := auth.ParseReason(why)
	if err != nil {
		return err
	}
	config, err := c.resealConfig(perSecond)
	if err != nil {
		return err
	}
	shown := time.Time{}
	s, closing, err := compose.OpenReseal(ctx, config, service.RealTools(c.Log), func(p reseal.Progress) {
		if now := time.Now(); now.Sub(shown) >= time.Second {
			shown = now
			c.say("%s: %d of %d rows, %d sealed anew, %d do not open, %s left\n",
				p.Table, p.Seen, p.Rows, p.Resealed, p.Unreadable, p.Left.Round(time.Second))
		}
	})
	if err != nil {
		return err
	}
	defer closing()
	log := trail.Log{Audit: a.Audit, Now: a.Now, NewID: a.NewID, Report: func(ctx context.Context, err error) {
		c.Log.ErrorContext(ctx, "not in the audit log", "error", err.Error())
	}}
	return log.Do(ctx, trail.By{Name: by.Name, Roles: []auth.Role{auth.Admin}},
		trail.Action{Action: "VALUES_RESEALED", Reason: why}, nil, func(facts map[string]string) error {
			form, err := s.Form(ctx)
			if err != nil {
				return err
			}
			if form < sealing.RowOnly {
				c.say("waiting until every instance writes the new form\n")
			}
			r, err := s.Run(ctx, anyway)
			facts["seen"], facts["resealed"] = strconv.Itoa(r.Seen), strconv.Itoa(r.Resealed)
			facts["unreadable"], facts["form"] = strconv.Itoa(len(r.Unreadable)), r.Form.String()
			c.unreadable(r.Unreadable)
			return c.said(err,
				"%d rows looked at, %d sealed anew, %d do not open; values bound to their column alone are refused\n",
				r.Seen, r.Resealed, len(r.Unreadable))
		})
}

func (c Console) unreadable(rows []reseal.Row) {
	for i, row := range rows {
		if i == maxRowsNamed {
			c.say("and %d more\n", len(rows)-maxRowsNamed)
			return
		}
		c.say("does not open: %s %s\n", row.Table, row.Key)
	}
}

// resealEnvironment names all databases and the keyring.
type resealEnvironment struct {
	Auth    personal.Secret `env:"AUTH_DATABASE_URL,required"`
	Bill    personal.Secret `env:"BILL_DATABASE_URL,required"`
	Product personal.Secret `env:"PRODUCT_DATABASE_URL,required"`
	KOS     personal.Secret `env:"KOS_DATABASE_URL,required"`
	Keyring string          `env:"KEYRING_FILE,required"`
}

// Validate implements boot.Config.
func (resealEnvironment) Validate(*boot.Faults) {}

func (c Console) resealConfig(perSecond int) (compose.ResealConfig, error) {
	config := compose.ResealConfig{Databases: map[migrations.Database]string{}, PerSecond: perSecond}
	if c.Env("AUTH_DATABASE_URL") != "" {
		env, err := boot.Load[resealEnvironment](c.Env)
		config.Keyring = env.Keyring
		for db, url := range map[migrations.Database]personal.Secret{
			migrations.Auth: env.Auth, migrations.Bill: env.Bill, migrations.Product: env.Product, migrations.KOS: env.KOS,
		} {
			config.Databases[db] = url.Reveal()
		}
		return config, err
	}
	f, err := devstack.ReadDemo(filepath.Join(c.folder(), "demo.json"))
	if err != nil {
		return config, err
	}
	for _, db := range migrations.All() {
		url, keyring, _, err := devstack.Found(c.folder(), f.Databases[string(db)], db)
		if err != nil {
			return config, err
		}
		config.Databases[db], config.Keyring = url.Reveal(), keyring
	}
	return config, nil
}
