// SPDX-License-Identifier: Apache-2.0

//go:build linux

package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mapprof/mapprof/analyze/synthetic"
	"golang.org/x/sys/unix"
)

// MostDrawn is up to how many scenarios report/model draws charts: of more a command
// that does prints tables alone, and each of the two is held to the limit by itself.
const MostDrawn = 500

// readingCommand reads runs.
type readingCommand struct {
	name  string
	args  func(a, b, out string) []string
	draws bool
	use   func(ctx context.Context, stdout io.ReadCloser) error // while it runs; nil: it ends by itself
}

// readingCommands are those that a run's scenarios go through.
func readingCommands() []readingCommand {
	return []readingCommand{
		{name: "report", draws: true, args: func(a, _, _ string) []string { return []string{"report", "-v", a} }},
		{name: "report -o", draws: true, args: func(a, _, out string) []string { return []string{"report", a, "-o", out} }},
		{name: "compare", args: func(a, b, _ string) []string { return []string{"compare", a, b} }},
		{name: "gate", args: func(a, b, _ string) []string { return []string{"gate", "--baseline", a, "--candidate", b} }},
		{name: "history", args: func(a, b, _ string) []string { return []string{"history", a, b} }},
		{name: "web, the run's page", draws: true, args: func(a, _, _ string) []string { return []string{"web", a, "--no-browser"} }, use: openRunPage},
	}
}

// processCost is what a process took in all.
type processCost struct {
	cpu  time.Duration
	peak uint64 // bytes
}

// ofScenarios measures the commands that read runs, on runs that are made up.
func (g *growth) ofScenarios(ctx context.Context, on *Machines) (rows []growthRow, err error) {
	tmp, err := os.MkdirTemp("", "mapprof-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	for _, c := range readingCommands() {
		parts := map[string][]uint{"": g.scenarios}
		if c.draws {
			parts = drawnAndNot(g.scenarios)
		}
		for _, what := range slices.Sorted(maps.Keys(parts)) {
			more, err := g.ofCommand(ctx, on, &c, what, parts[what], tmp)
			if err != nil {
				return nil, err
			}
			rows = append(rows, more...)
		}
	}
	return rows, nil
}

// drawnAndNot parts sizes where charts end, and measures both sides up to there, if a
// side has two steps.
func drawnAndNot(sizes []uint) map[string][]uint {
	cut, there := slices.BinarySearch(sizes, MostDrawn)
	if there {
		cut++
	}
	drawn, not := slices.Clone(sizes[:cut]), append([]uint{MostDrawn + 1}, sizes[cut:]...)
	if cut < len(sizes) && !there {
		drawn = append(drawn, MostDrawn)
	}
	parts := map[string][]uint{", charts": drawn, ", tables alone": slices.Compact(not)}
	maps.DeleteFunc(parts, func(_ string, of []uint) bool { return len(of) < 3 })
	return parts
}

// ofCommand measures one command.
func (g *growth) ofCommand(ctx context.Context, on *Machines, c *readingCommand, what string, sizes []uint, tmp string) ([]growthRow, error) {
	var costs []processCost
	for _, n := range sizes {
		fmt.Fprintf(on.Stderr, "mapprof %s: %d scenarios\n", c.name, n)
		cost, err := g.cheapest(ctx, c, tmp, n)
		if err != nil {
			return nil, err
		}
		costs = append(costs, cost)
	}
	cpu := growthRow{what: "mapprof " + c.name + what + ": CPU time", sizes: sizes, unit: "µs", limit: g.limit}
	peak := growthRow{what: "mapprof " + c.name + what + ": memory", sizes: sizes, unit: "KiB", limit: g.limit}
	for i := 1; i < len(costs); i++ {
		more, less, step := costs[i], costs[i-1], float64(sizes[i]-sizes[i-1])
		cpu.cost = append(cpu.cost, float64(more.cpu-less.cpu)/step/1e3)
		peak.cost = append(peak.cost, (float64(more.peak)-float64(less.peak))/step/1024)
	}
	return []growthRow{cpu, peak}, nil
}

// cheapest runs a command some rounds over on runs of n scenarios, which it makes
// where there are none yet.
func (g *growth) cheapest(ctx context.Context, c *readingCommand, tmp string, n uint) (best processCost, err error) {
	at := func(name string) string { return filepath.Join(tmp, fmt.Sprintf("%s-%d", name, n)) }
	for seed, name := range []string{"a", "b"} {
		if _, err := os.Stat(at(name)); errors.Is(err, os.ErrNotExist) {
			if err := synthetic.WriteMany(at(name), int(n), uint64(seed), name == "a"); err != nil {
				return best, err
			}
		}
	}
	for round := range g.rounds {
		cost, err := runReading(ctx, c, c.args(at("a"), at("b"), filepath.Join(tmp, "report.html")))
		if err != nil {
			return best, fmt.Errorf("mapprof %s, %d scenarios: %w", c.name, n, err)
		}
		if round == 0 {
			best = cost
		}
		best = processCost{min(best.cpu, cost.cpu), min(best.peak, cost.peak)}
	}
	return best, nil
}

// runReading runs one as a process of its own.
func runReading(ctx context.Context, c *readingCommand, args []string) (cost processCost, err error) {
	self, err := os.Executable()
	if err != nil {
		return cost, err
	}
	running, interrupt := context.WithCancel(ctx)
	defer interrupt()
	cmd := exec.CommandContext(running, self, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGINT) }
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	used := make(chan error, 1)
	if c.use != nil {
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			return cost, err
		}
		go func() {
			used <- c.use(ctx, stdout)
			interrupt()
		}()
	}
	cost.peak, err = runForPeak(cmd)
	if c.use != nil {
		if errors.Is(err, context.Canceled) { // it ended well, as it was told to
			err = ctx.Err()
		}
		err = errors.Join(err, <-used)
	}
	if err != nil {
		return cost, fmt.Errorf("%w\n%s", err, stderr.Bytes())
	}
	cost.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return cost, nil
}

var (
	servedAt = regexp.MustCompile(`http://\S+`)
	runLink  = regexp.MustCompile(`/run/[0-9a-f]+`)
)

// openRunPage asks the server that says where it is for its list of runs, and for the
// page of the first.
func openRunPage(ctx context.Context, stdout io.ReadCloser) error {
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read where the server is: %w", err)
	}
	at := strings.TrimSuffix(servedAt.FindString(line), "/")
	list, err := getPage(ctx, at+"/")
	if err != nil {
		return err
	}
	link := runLink.Find(list)
	if link == nil {
		return errors.New("the list of runs has none")
	}
	_, err = getPage(ctx, at+string(link))
	return err
}

func getPage(ctx context.Context, url string) (body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	if body, err = io.ReadAll(answer.Body); err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, answer.Status)
	}
	return body, err
}
