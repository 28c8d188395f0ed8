// SPDX-License-Identifier: Apache-2.0

package synthetic

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/mapprof/mapprof/results"
)

// Edit changes a run directory as somebody would who writes one: change gets
// its run.json, valid or not, and may be nil; then run.json lists the files that
// are there, as they are now. So a test can plant what no digest tells of.
func Edit(dir string, change func(*results.Run)) error {
	path := filepath.Join(dir, results.RunFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("edit run: %w", err)
	}
	run := new(results.Run)
	if err := json.Unmarshal(data, run); err != nil {
		return fmt.Errorf("edit run: %w", err)
	}
	if change != nil {
		change(run)
	}
	run.Files = map[string]results.File{}
	for _, name := range results.Files() {
		content, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case name == results.RunFile || errors.Is(err, os.ErrNotExist):
			continue
		case err != nil:
			return fmt.Errorf("edit run: %w", err)
		}
		run.Files[name] = fileOf(name, content)
	}
	if data, err = json.MarshalIndent(run, "", "  "); err != nil {
		return fmt.Errorf("edit run: %w", err)
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// fileOf counts as far as the content can be read.
func fileOf(name string, content []byte) results.File {
	sum := sha256.Sum256(content)
	f := results.File{Bytes: int64(len(content)), SHA256: hex.EncodeToString(sum[:])}
	switch name {
	case results.DeathsFile:
		_ = results.DecodeDeaths(bytes.NewReader(content), func(*results.Death) error { f.Count++; return nil })
	case results.HistogramsFile:
		_ = results.DecodeHistograms(bytes.NewReader(content), func(*hdrhistogram.Histogram) error { f.Count++; return nil })
	}
	return f
}
