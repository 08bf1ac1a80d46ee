package devservers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"phonebill/adapters/internal/child"
)

// Cluster is a running cluster of masters without replicas, for tests. Its methods may be called from many goroutines.
type Cluster struct {
	nodes    []*Cache
	password string
	dir      string // where the nodes keep their configuration
}

const (
	masters = 3
	slots   = 1 << 14
)

// StartCluster starts three masters on loopback, gives each a third of the slots, and waits until all agree. Without a
// binary it returns ErrNoBinary, whatever the options: miniredis is no cluster.
func StartCluster(ctx context.Context, o CacheOptions) (*Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*cacheStartTimeout)
	defer cancel()
	binary := o.Binary
	if binary == "" {
		binary = find()
	}
	if binary == "" {
		return nil, ErrNoBinary
	}
	cred, err := child.Unprivileged("nobody")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "phonebill-cachecluster-")
	if err != nil {
		return nil, fmt.Errorf("cache cluster: %w", err)
	}
	if cred != nil {
		if err := os.Chown(dir, int(cred.Uid), int(cred.Gid)); err != nil {
			_ = os.RemoveAll(dir)
			return nil, fmt.Errorf("cache cluster: %w", err)
		}
	}
	c := &Cluster{password: rand.Text(), dir: dir}
	for n := range masters {
		node, err := launch(ctx, binary, cred, o, c.password,
			func(ctx context.Context) ([]string, error) { return clusterConfig(ctx, dir, n) })
		if err != nil {
			return nil, errors.Join(err, c.Stop(context.WithoutCancel(ctx)))
		}
		c.nodes = append(c.nodes, node)
	}
	if err := c.join(ctx); err != nil {
		return nil, errors.Join(err, c.Stop(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// clusterConfig returns the configuration of a node. While a node is down the others serve their slots.
func clusterConfig(ctx context.Context, dir string, n int) ([]string, error) {
	bus, err := child.FreePort(ctx)
	if err != nil {
		return nil, err
	}
	return []string{
		"cluster-enabled yes",
		"cluster-config-file " + strconv.Quote(filepath.Join(dir, strconv.Itoa(n)+"-"+strconv.Itoa(bus)+".conf")),
		"cluster-port " + strconv.Itoa(bus), "cluster-node-timeout 2000", "cluster-require-full-coverage no",
	}, nil
}

func (c *Cluster) join(ctx context.Context) error {
	for n, node := range c.nodes {
		from, to := n*slots/masters, (n+1)*slots/masters-1
		commands := [][]string{
			{"CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(n + 1)},
			{"CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(from), strconv.Itoa(to)},
		}
		if n > 0 {
			host, port, err := net.SplitHostPort(c.nodes[0].addr)
			if err != nil {
				return fmt.Errorf("cache cluster: %w", err)
			}
			_, bus, _ := strings.Cut(c.bus(ctx), "@")
			commands = append(commands, []string{"CLUSTER", "MEET", host, port, bus})
		}
		for _, command := range commands {
			answer, err := node.do(ctx, command...)
			if err != nil {
				return err
			}
			if answer != "+OK" {
				return fmt.Errorf("cache cluster: %s: %s", command[1], answer)
			}
		}
	}
	return c.await(ctx)
}

// bus returns the address of the first node as it reports it: "host:port@bus".
func (c *Cluster) bus(ctx context.Context) string {
	nodes, _ := c.nodes[0].do(ctx, "CLUSTER", "NODES")
	for line := range strings.Lines(nodes) {
		if words := strings.Fields(line); len(words) > 2 && strings.Contains(words[2], "myself") {
			address, _, _ := strings.Cut(words[1], ",")
			return address
		}
	}
	return ""
}

func (c *Cluster) await(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ready := 0
		for _, node := range c.nodes {
			info, _ := node.do(ctx, "CLUSTER", "INFO")
			if strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_ok:"+strconv.Itoa(slots)) &&
				strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(masters)) {
				ready++
			}
		}
		if ready == masters {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cache cluster does not come together: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// Addrs returns host:port of all nodes.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.nodes))
	for n, node := range c.nodes {
		addrs[n] = node.addr
	}
	return addrs
}

// Password is that of the default user on all nodes; never log it.
func (c *Cluster) Password() string { return c.password }

// StopNode ends one node for good, as Server.Stop does.
func (c *Cluster) StopNode(ctx context.Context, n int) error { return c.nodes[n].Stop(ctx) }

// Stop ends all nodes and deletes their configuration.
func (c *Cluster) Stop(ctx context.Context) error {
	var failed error
	for _, node := range c.nodes {
		failed = errors.Join(failed, node.Stop(ctx))
	}
	return errors.Join(failed, os.RemoveAll(c.dir))
}
