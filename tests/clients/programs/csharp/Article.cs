using System;
using System.Collections.Generic;
using System.Linq;
using System.Net.Http;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Org.OpenAPITools.Api;
using Org.OpenAPITools.Client;
using Org.OpenAPITools.Model;

/// <summary>The operations, through the C# client that openapi-generator makes.</summary>
public static class Article
{
    public static string Run(string address)
    {
        ServiceCollection services = new();
        _ = new HostConfiguration(services);
        object? options = services.First(each => each.ServiceType == typeof(JsonSerializerOptionsProvider)).ImplementationInstance;
        using HttpClient http = new() { BaseAddress = new Uri(address) };
        OperationsApi api = new(
            NullLogger<OperationsApi>.Instance, http, (JsonSerializerOptionsProvider)options!, new OperationsApiEvents());

        List<List<double>> scores = new() { new() { 2, 3, 4 } };
        SoftmaxRequest batch = new(logits: scores, topK: 1);
        SoftmaxReply softmaxed = api.SoftmaxAsync(batch).Result.Ok()!;

        LossReply lost = api.LossAsync(new(logits: scores, targets: new List<long> { 1 })).Result.Ok()!;

        GradientRequest layer = new(
            inputs: new List<List<double>> { new() { 1, 2 } },
            weights: new List<List<double>> { new() { 0, 1 }, new() { 1, 1 }, new() { 2, 1 } },
            bias: new List<double> { 0, 0, 0 },
            targets: new List<long> { 1 },
            learningRate: 1);
        GradientReply stepped = api.GradientAsync(layer).Result.Ok()!;

        CalibrateRequest classified = new(
            logits: new List<List<double>> { new() { 2, 3, 4 }, new() { 3, 1, -3 }, new() { 2, 3, 4 } },
            targets: new List<long> { 1, 0, 2 });
        CalibrateReply calibrated = api.CalibrateAsync(classified).Result.Ok()!;

        batch.TopK = 4;
        Problem refused = api.SoftmaxAsync(batch).Result.Default()!;

        Dictionary<string, object?> results = new()
        {
            ["probabilities"] = softmaxed.Probabilities,
            ["predictions"] = softmaxed.Predictions,
            ["top_k_classes"] = softmaxed.TopKClasses,
            ["loss"] = lost.Loss,
            ["logits_gradient"] = stepped.LogitsGradient,
            ["updated_weights"] = stepped.UpdatedWeights,
            ["temperature"] = calibrated.Temperature,
            ["at_bound"] = calibrated.AtBound,
            ["loss_before"] = calibrated.LossBefore,
            ["refusal"] = refused.Detail,
        };
        return JsonSerializer.Serialize(
            results, new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
    }
}
