// Package ctl is phonebillctl, the operator's command line. It works on the stores of the auth service through the
// verbs that the API uses, so the same rules hold and the same audit log records it. Begin with Run (ctl.go).
package ctl

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"phonebill/cmd/internal/boot"
	compose "phonebill/cmd/internal/compose/auth"
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/devstack"
	"phonebill/core/auth/admin"
	"phonebill/core/personal"
	"phonebill/migrations"
)

// Console is what a command reads and writes, and the environment it runs in.
type Console struct {
	Env      boot.Env
	In       io.Reader
	Out, Err io.Writer
	Log      *slog.Logger

	lang lang // of the texts; Run reads it from the environment
}

// ErrPartly says that a load was done but for the rows that were refused: exit code 2.
var ErrPartly = errors.New("some rows were refused")

// Run carries a command out. An error's text is in the console's language; a wrong command line is ErrUsage.
func Run(ctx context.Context, c Console, args []string) error {
	c.lang = language(c.Env)
	began := false
	root := c.tree(func() { began = true })
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		return &shownError{c.lang.failure(err), err, !began}
	}
	return nil
}

const rootHelp = `Operate phonebill: accounts, permissions, sessions, audit log, the link to KOS.

Commands work on the database of the auth service: that of AUTH_DATABASE_URL, KEYRING_FILE and VALKEY_ADDR
(with VALKEY_PASSWORD), as the auth service has them; without AUTH_DATABASE_URL, that of the system that "make
run" started (PHONEBILL_DATA, default .data). Every command on it is recorded in the audit log under cli:<your
account>; those that change something want a --reason.

"ops", "deliveries", "parked", "requests", "reconciliation" and "timeline" ask the running services instead.`

// tree is every command, each made strict. began is called when a command's work begins.
func (c Console) tree(began func()) *cobra.Command {
	root := &cobra.Command{
		Use: "phonebillctl", Short: "Operate phonebill: accounts, permissions, sessions, keys, audit log, the link to KOS",
		SilenceUsage: true, SilenceErrors: true,
		Long:              rootHelp,
		CompletionOptions: cobra.CompletionOptions{},
	}
	root.SetIn(c.In)
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	root.AddCommand(c.users(), c.grant(), c.revoke(), c.sessions(), c.keys(), c.serviceKeys(), c.audit(),
		c.ops(), c.deliveries(),
		c.parked(), c.requests(), c.maintenance(), c.reconciliation(), c.timeline(), c.reseal(), c.demo(), c.otp())
	root.SetHelpCommand(c.help(root))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	ownWords(root)
	strictly(root, c.lang, began)
	root.SetUsageTemplate(c.usage(root.UsageTemplate()))
	return root
}

// help shows the help of any command.
func (c Console) help(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help", Short: "Show the help of a command: phonebillctl COMMAND --help",
		Example: "  phonebillctl users create --help",
		Args: func(_ *cobra.Command, args []string) error {
			found, rest := named(root, args)
			if len(rest) > 0 {
				return unknownCommand(found, rest[0])
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			found, _ := named(root, args)
			return found.Help()
		},
	}
}

// named follows the names of commands down the tree; rest is what names none.
func named(cmd *cobra.Command, names []string) (found *cobra.Command, rest []string) {
	for len(names) > 0 {
		at := slices.IndexFunc(cmd.Commands(), func(sub *cobra.Command) bool { return sub.Name() == names[0] })
		if at < 0 {
			break
		}
		cmd, names = cmd.Commands()[at], names[1:]
	}
	return cmd, names
}

// ownWords gives cobra's completion commands texts of the catalogue, and lets them be made strict as the others.
func ownWords(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Args, cmd.Short, cmd.Long = nil, "Print a script that completes commands in a shell", ""
		for _, shell := range cmd.Commands() {
			shell.Args, shell.Short, shell.Long = nil, "Print the script for this shell", ""
		}
	}
}

// usage is cobra's template with its headings in the language.
func (c Console) usage(template string) string {
	for _, word := range []string{
		"Usage:", "Aliases:", "Examples:", "Available Commands:", "Additional Commands:", "Flags:", "Global Flags:",
		"Additional help topics:", "[command]", "for more information about a command.", `Use "{{.CommandPath}}`,
	} {
		template = strings.ReplaceAll(template, word, c.lang.text(word))
	}
	return template
}

func (c Console) demo() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use: "demo", Short: "Drive a customer's whole journey against the running system",
		Example: "  phonebillctl demo",
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := devstack.ReadDemo(path)
			if err != nil {
				return err
			}
			return devstack.Journey(cmd.Context(), f, c.Out)
		},
	}
	cmd.Flags().StringVar(&path, "file", filepath.Join(c.folder(), "demo.json"), "the file that `make run` wrote")
	return cmd
}

// folder is the data folder of `make run`.
func (c Console) folder() string { return cmp.Or(c.Env("PHONEBILL_DATA"), ".data") }

// do opens the stores, does the work as the person at the console, and closes them.
func (c Console) do(ctx context.Context, work func(a *compose.Admin, by admin.Caller) error) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	a, err := compose.OpenAdmin(ctx, config, service.RealTools(c.Log))
	if err != nil {
		return err
	}
	defer a.Close()
	return work(a, admin.CommandLine(account()))
}

func (c Console) config() (compose.AdminConfig, error) {
	if c.Env("AUTH_DATABASE_URL") != "" {
		return compose.LoadAdmin(c.Env)
	}
	f, err := devstack.ReadDemo(filepath.Join(c.folder(), "demo.json"))
	if err != nil {
		return compose.AdminConfig{}, failf("AUTH_DATABASE_URL is not set, and no local system is found: %w", err)
	}
	cache := service.Cache{
		Addr: f.Cache.Address, Cluster: f.Cache.Cluster, Password: personal.NewSecret(f.Cache.Password), Mini: f.Cache.Mini,
	}
	url, keyring, token, err := devstack.Found(c.folder(), f.Databases[string(migrations.Auth)], migrations.Auth)
	if err != nil {
		return compose.AdminConfig{}, err
	}
	// The environment may say the rest, but not where this system is.
	config, err := compose.LoadAdmin(c.Env.With(map[string]string{
		boot.Environment: "development", "AUTH_DATABASE_URL": url.Reveal(), "KEYRING_FILE": keyring,
		"VALKEY_ADDR": cache.Addr,
	}, nil))
	config.Stores.Cache = cache
	if config.InternalAPI.Token.Reveal() == "" {
		config.InternalAPI.Token = token
	}
	return config, err
}

// account is the person's account at the operating system.
func account() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}

// reason adds the flag that every change wants.
func reason(cmd *cobra.Command, to *string) *cobra.Command {
	cmd.Flags().StringVar(to, "reason", "", "why, in 2 characters or more; it is recorded (required)")
	_ = cmd.MarkFlagRequired("reason") // the flag exists
	return cmd
}
