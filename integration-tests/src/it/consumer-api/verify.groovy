// SPDX-License-Identifier: Apache-2.0
def consumer = evaluate(new File(basedir, '../../../src/it/consumer.groovy'))
consumer.gets('iommu-api', 'jspecify', 'slf4j-api')
def text = 'no driver is on the path'
consumer.prints(consumer.onClassPath('com.example.api.Main'), text)
consumer.prints(consumer.onModulePath('com.example.api/com.example.api.Main'), text)
true
