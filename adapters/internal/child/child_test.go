package child

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shell starts a script that prints one line when it is ready.
func shell(t *testing.T, script string) *Process {
	t.Helper()
	out, in, err := os.Pipe()
	require.NoError(t, err)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "sh", "-c", script)
	cmd.Stdout = in
	p, err := Start(cmd, nil, syscall.SIGKILL)
	require.NoError(t, err)
	require.NoError(t, in.Close())
	t.Cleanup(func() { _ = p.Stop(context.Background(), 0) })
	_, err = bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	t.Cleanup(func() { _ = out.Close() })
	return p
}

func TestStopAsksThenKills(t *testing.T) {
	t.Parallel()
	polite := shell(t, `trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done`)
	require.NoError(t, polite.Err(), "nothing to say while it runs")
	require.NoError(t, polite.Stop(t.Context(), time.Minute, syscall.SIGTERM))
	require.NoError(t, polite.Err())

	second := shell(t, `trap '' INT; trap 'exit 0' TERM; echo ready; while :; do sleep 0.02; done`)
	require.NoError(t, second.Stop(t.Context(), 100*time.Millisecond, syscall.SIGINT, syscall.SIGTERM, syscall.SIGTERM,
		syscall.SIGTERM))

	deaf := shell(t, `trap '' TERM; echo ready; while :; do sleep 0.02; done`)
	require.ErrorContains(t, deaf.Stop(t.Context(), time.Millisecond, syscall.SIGTERM), "was killed")
	require.ErrorContains(t, deaf.Err(), "killed")

	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	deaf = shell(t, `trap '' TERM; echo ready; while :; do sleep 0.02; done`)
	require.ErrorContains(t, deaf.Stop(impatient, time.Minute, syscall.SIGTERM), "was killed")
}

func TestEndedChildHasAnError(t *testing.T) {
	t.Parallel()
	p := shell(t, `echo ready; exit 3`)
	<-p.Done()
	require.ErrorContains(t, p.Err(), "exit status 3")
	require.NoError(t, p.Stop(t.Context(), time.Minute, syscall.SIGTERM), "stopping an ended child does nothing")
	require.Error(t, syscall.Kill(p.PID(), 0), "it was reaped")
}

func TestChildHasItsOwnProcessGroup(t *testing.T) {
	t.Parallel()
	p := shell(t, `echo ready; while :; do sleep 0.02; done`)
	group, err := syscall.Getpgid(p.PID())
	require.NoError(t, err)
	require.Equal(t, p.PID(), group)
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	_, err := Start(exec.CommandContext(t.Context(), "/none/there"), nil, syscall.SIGKILL)
	require.ErrorContains(t, err, "start /none/there")
}

func TestUnprivileged(t *testing.T) {
	t.Parallel()
	cred, err := Unprivileged("no such user", "nobody")
	require.NoError(t, err)
	require.Equal(t, os.Geteuid() == 0, cred != nil, "only root needs another user")
	root, err := lookup([]string{"no such user", "root"})
	require.NoError(t, err)
	require.Zero(t, root.Uid)
	_, err = lookup([]string{"no such user"})
	require.ErrorContains(t, err, "no such user")
}

func TestFreePortIsFree(t *testing.T) {
	t.Parallel()
	require.Eventually(t, func() bool { // another program may be faster, once
		port, err := FreePort(t.Context())
		if err != nil {
			return false
		}
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		return err == nil && l.Close() == nil
	}, 10*time.Second, time.Millisecond)
}
