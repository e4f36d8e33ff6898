// SPDX-License-Identifier: Apache-2.0
def consumer = evaluate(new File(basedir, '../../../src/it/consumer.groovy'))
consumer.gets('hardware-sim', 'iommu-amd', 'iommu-api', 'iommu-core', 'jspecify', 'kvm-x86', 'slf4j-api', 'vfio-core')
consumer.prints(consumer.onClassPath('com.example.vfio.Main'), 'groups: ')
consumer.prints(consumer.onModulePath('com.example.vfio/com.example.vfio.Main'), 'groups: ')
true
