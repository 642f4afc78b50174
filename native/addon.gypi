# The release build of the addon: one target, the core's sources and the binding's in it. Included by /binding.gyp
# (this repository) and by native/from_source/binding.gyp (an installed package), which say where native/ is.
{
  'targets': [
    {
      'target_name': 'millrace',
      'sources': [
        '<!@(node <(native_dir)/sources.mjs core)',
        '<!@(node <(native_dir)/sources.mjs binding)',
      ],
      'include_dirs': [
        '<(native_dir)',
        "<!(node -p \"require('node-addon-api').include_dir\")",
      ],
      'defines': [
        'NAPI_VERSION=9',
        'MILLRACE_VERSION="<!(node -p "require(\'./<(native_dir)/../package.json\').version")"',
        'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS',
        'NODE_ADDON_API_DISABLE_DEPRECATED',
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      # Node's own settings name another language standard.
      'cflags_cc!': [ '-std=gnu++17', '-std=gnu++20' ],
      'cflags_cc': [
        '-std=c++20',
        '-fno-exceptions',
        '-fno-rtti',
        '-fvisibility=hidden',
        '-fvisibility-inlines-hidden',
      ],
      'configurations': {
        'Release': {
          'defines': [ 'NDEBUG' ],
          'conditions': [
            ['OS=="linux"', {
              'cflags': [ '-flto=auto' ],
              'ldflags': [ '-flto=auto', '-O3' ],
            }],
          ],
          'xcode_settings': { 'LLVM_LTO': 'YES' },
        },
      },
      'conditions': [
        ['OS=="linux"', {
          'ldflags': [
            '-Wl,--gc-sections',
            '-Wl,-z,relro,-z,now',
            '-Wl,--version-script=<(module_root_dir)/<(native_dir)/addon.map',
          ],
          'libraries': [ '-ldl' ],
        }],
      ],
      'xcode_settings': {
        'CLANG_CXX_LANGUAGE_STANDARD': 'c++20',
        'GCC_ENABLE_CPP_EXCEPTIONS': 'NO',
        'GCC_ENABLE_CPP_RTTI': 'NO',
        'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
        'MACOSX_DEPLOYMENT_TARGET': '11.0',
      },
    },
  ],
}
