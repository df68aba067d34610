package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"sallyport/internal/config"
)

var settingName = regexp.MustCompile(`SALLYPORT_[A-Z_]+[A-Z]`)

// A setting that is misspelt in a sample has no effect wherever it was copied to.
func TestSamplesNameSettingsThatThereAre(t *testing.T) {
	t.Parallel()
	var known []string
	for _, s := range config.Settings() {
		known = append(known, s.Name)
		if s.Secret {
			known = append(known, s.Name+"_FILE")
		}
	}
	files, err := filepath.Glob(filepath.Join("..", "..", "deploy", "*"))
	if err != nil || len(files) < 7 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.IsDir() {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range settingName.FindAllString(string(text), -1) {
			if !slices.Contains(known, name) && name != "SALLYPORT_PORT" { // what Kubernetes would set
				t.Errorf("%s: %s is not a setting", filepath.Base(file), name)
			}
		}
	}
}

// Kubernetes gives a node the time that it takes to stop, after the pause for the balancers.
func TestKubernetesWaitsForTheStop(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "kubernetes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Kind string
		Spec struct {
			Template struct {
				Spec struct {
					TerminationGracePeriodSeconds int `yaml:"terminationGracePeriodSeconds"`
					Containers                    []struct {
						Lifecycle struct {
							PreStop struct{ Sleep struct{ Seconds int } } `yaml:"preStop"`
						}
					}
				}
			}
		}
	}
	if err := yaml.NewDecoder(strings.NewReader(string(text))).Decode(&d); err != nil || d.Kind != "Deployment" {
		t.Fatalf("%q, %v", d.Kind, err)
	}
	c, err := config.Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	pod := d.Spec.Template.Spec
	pause := pod.Containers[0].Lifecycle.PreStop.Sleep.Seconds
	if grace := time.Duration(pod.TerminationGracePeriodSeconds-pause) * time.Second; pause == 0 || grace <= c.ShutdownGrace {
		t.Errorf("%s is left for a stop that may take %s, after a pause of %d s", grace, c.ShutdownGrace, pause)
	}
}
