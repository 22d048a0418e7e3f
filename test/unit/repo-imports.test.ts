import assert from 'node:assert/strict';
import test from 'node:test';
import { importGraph, importPaths } from '../../backend/repo/imports.ts';

const graphOf = (files: Record<string, string>) =>
  importGraph(Object.entries(files).map(([path, text]) => ({ path, targets: importPaths(path, text) })));

test('TypeScript imports are resolved beside the file, with any ending, and packages are left alone', () => {
  const graph = graphOf({
    'src/a.ts':
      "import {\n  b,\n} from './b.js';\nexport * from '../lib';\nconst c = require('./c.model');\nimport 'fs';",
    'src/b.ts': "const later = import('@/src/a');",
    'src/c.model.ts': '',
    'lib/index.ts': '',
    'lib/fs.ts': '',
  });
  assert.deepEqual(graph['src/a.ts']?.sort(), ['lib/index.ts', 'src/b.ts', 'src/c.model.ts']);
  assert.deepEqual(graph['src/b.ts'], ['src/a.ts']);
});

test('modules of Python, Rust, Java, Go, C and C# are found by the ends of their paths', () => {
  const graph = graphOf({
    'py/pkg/a.py': 'from .b import x\nfrom ..top import y\nimport pkg.sub.c\n',
    'py/pkg/b.py': '',
    'py/top.py': '',
    'py/pkg/sub/c.py': '',
    'rs/src/main.rs': 'mod util;\nuse crate::net::Client;\n',
    'rs/src/util.rs': '',
    'rs/src/net/mod.rs': '',
    'j/src/com/x/A.java': 'import com.x.y.B;\n',
    'j/src/com/x/y/B.java': '',
    'go/main.go': 'import (\n\t"fmt"\n\t"example.org/m/store"\n)\n',
    'go/store/disk.go': '',
    'c/main.c': '#include <stdio.h>\n#include "util/log.h"\n',
    'c/util/log.h': '',
    'cs/Program.cs': 'using Shop.Orders;\n',
    'cs/Shop/Orders/Order.cs': '',
  });
  assert.deepEqual(graph['py/pkg/a.py'], ['py/pkg/b.py', 'py/top.py', 'py/pkg/sub/c.py']);
  assert.deepEqual(graph['rs/src/main.rs']?.sort(), ['rs/src/net/mod.rs', 'rs/src/util.rs']);
  assert.deepEqual(graph['j/src/com/x/A.java'], ['j/src/com/x/y/B.java']);
  assert.deepEqual(graph['go/main.go'], ['go/store/disk.go']);
  assert.deepEqual(graph['c/main.c'], ['c/util/log.h']);
  assert.deepEqual(graph['cs/Program.cs'], ['cs/Shop/Orders/Order.cs']);
});

test('a file does not import itself', () => {
  const graph = graphOf({ 'a.ts': "import './b'; import './a';", 'b.ts': '' });
  assert.deepEqual(graph, { 'a.ts': ['b.ts'] });
});
