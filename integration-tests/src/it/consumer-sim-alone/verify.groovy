// SPDX-License-Identifier: Apache-2.0
def consumer = evaluate(new File(basedir, '../../../src/it/consumer.groovy'))
consumer.gets('hardware-sim', 'iommu-api', 'jspecify', 'slf4j-api')
def text = 'passes while no driver is there: true'
consumer.prints(consumer.onClassPath('com.example.alone.Main'), text)
consumer.prints(consumer.onModulePath('com.example.alone/com.example.alone.Main'), text)
true
