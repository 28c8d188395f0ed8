// SPDX-License-Identifier: Apache-2.0

//go:build linux

package all

import (
	_ "github.com/mapprof/mapprof/workloads/bigarray"
	_ "github.com/mapprof/mapprof/workloads/churn"
	_ "github.com/mapprof/mapprof/workloads/clocks"
	_ "github.com/mapprof/mapprof/workloads/command"
	_ "github.com/mapprof/mapprof/workloads/holders"
	_ "github.com/mapprof/mapprof/workloads/lookup"
	_ "github.com/mapprof/mapprof/workloads/mapcalls"
	_ "github.com/mapprof/mapprof/workloads/programs"
	_ "github.com/mapprof/mapprof/workloads/redirect"
	_ "github.com/mapprof/mapprof/workloads/special"
	_ "github.com/mapprof/mapprof/workloads/structops"
	_ "github.com/mapprof/mapprof/workloads/teardown"
)
