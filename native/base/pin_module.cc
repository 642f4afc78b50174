#include "base/pin_module.h"

#include <dlfcn.h>

namespace millrace {

void pinModule() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&pinModule), &self) == 0) return;
  // The handle is dropped on purpose. A program, which is never unloaded, has none: that is fine.
  dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

}  // namespace millrace
