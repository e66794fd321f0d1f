// What the client needs of Microsoft.Extensions.Http and of a source generator, neither of which the registries have.
using System;
using System.Net.Http;
using System.Text.RegularExpressions;

namespace Microsoft.Extensions.DependencyInjection
{
    public interface IHttpClientBuilder
    {
    }

    public static class HttpClientFactoryServiceCollectionExtensions
    {
        public static IHttpClientBuilder AddHttpClient<TClient, TImplementation>(
            this IServiceCollection services, string name, Action<IServiceProvider, HttpClient> configure)
            where TClient : class
            where TImplementation : class, TClient => throw new NotSupportedException();
    }
}

namespace Org.OpenAPITools.Client
{
    public static partial class ClientUtils
    {
        private static partial Regex JsonRegex() => new("^(application/json|[^;/ \t]+/[^;/ \t]+[+]json)[ \t]*(;.*)?$", RegexOptions.IgnoreCase);
    }
}
