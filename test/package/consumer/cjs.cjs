const use = require('./use.cjs')

use(require('millrace'), require('millrace/core'), require('millrace/pino'))
