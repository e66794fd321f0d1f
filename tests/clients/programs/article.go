// The operations, through the Go client that openapi-generator makes.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	openapi "github.com/GIT_USER_ID/GIT_REPO_ID"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	configuration := openapi.NewConfiguration()
	configuration.Servers = openapi.ServerConfigurations{{URL: os.Args[1]}}
	api := openapi.NewAPIClient(configuration).OperationsAPI
	ctx := context.Background()

	batch := openapi.NewSoftmaxRequest()
	batch.SetLogits([][]float64{{2, 3, 4}})
	batch.SetTopK(1)
	softmaxed, _, err := api.Softmax(ctx).SoftmaxRequest(*batch).Execute()
	check(err)

	labelled := openapi.NewLossRequest()
	labelled.SetLogits([][]float64{{2, 3, 4}})
	labelled.SetTargets([]int64{1})
	lost, _, err := api.Loss(ctx).LossRequest(*labelled).Execute()
	check(err)

	layer := openapi.NewGradientRequest()
	layer.SetInputs([][]float64{{1, 2}})
	layer.SetWeights([][]float64{{0, 1}, {1, 1}, {2, 1}})
	layer.SetBias([]float64{0, 0, 0})
	layer.SetTargets([]int64{1})
	layer.SetLearningRate(1)
	stepped, _, err := api.Gradient(ctx).GradientRequest(*layer).Execute()
	check(err)

	classified := openapi.NewCalibrateRequest()
	classified.SetLogits([][]float64{{2, 3, 4}, {3, 1, -3}, {2, 3, 4}})
	classified.SetTargets([]int64{1, 0, 2})
	calibrated, _, err := api.Calibrate(ctx).CalibrateRequest(*classified).Execute()
	check(err)

	batch.SetTopK(4)
	_, _, err = api.Softmax(ctx).SoftmaxRequest(*batch).Execute()
	var refused *openapi.GenericOpenAPIError
	if !errors.As(err, &refused) {
		panic("not refused")
	}
	problem := refused.Model().(openapi.Problem)

	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"probabilities":   softmaxed.GetProbabilities(),
		"predictions":     softmaxed.GetPredictions(),
		"top_k_classes":   softmaxed.GetTopKClasses(),
		"loss":            lost.GetLoss(),
		"logits_gradient": stepped.GetLogitsGradient(),
		"updated_weights": stepped.GetUpdatedWeights(),
		"temperature":     calibrated.GetTemperature(),
		"at_bound":        calibrated.GetAtBound(),
		"loss_before":     calibrated.GetLossBefore(),
		"refusal":         problem.GetDetail(),
	}))
}
