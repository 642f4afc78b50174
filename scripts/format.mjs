// npm run format: TypeScript, JavaScript, and JSON by Biome; C++ by clang-format.
import { cppFiles } from './cpp_files.mjs'
import { bin, has, run } from './lib.mjs'

run(process.execPath, [bin('biome'), 'check', '--write', '.'])
if (has('clang-format-19')) run('clang-format-19', ['-i', ...cppFiles()])
else
  console.log(
    'C++ left as it is: clang-format-19 is not installed (apt-get install clang-format-19)',
  )
